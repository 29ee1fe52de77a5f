// As much of HTTP/2 (RFC 9113) as a client with one gRPC call a connection needs. A general HTTP/2 stack
// costs more a message than the server under measurement does, and would be what is measured.

export const FRAME_HEADER = 9;
export const GRPC_HEADER = 5;

export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
} as const;

/** Bytes of DATA that may be sent before the server has given any window. */
export const FIRST_SEND_WINDOW = 65_535;

export const END_STREAM = 1;
export const ACK = 1;
const END_HEADERS = 4;
const INITIAL_WINDOW_SIZE = 4;
const STREAM = 1;

/** What opens a connection and the call on it. `window` is the receive window of the stream in bytes. */
export function openCall(path: string, window: number): Buffer {
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(INITIAL_WINDOW_SIZE, 0);
  settings.writeUInt32BE(window, 2);
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(FrameType.SETTINGS, 0, 0, settings),
    frame(FrameType.HEADERS, END_HEADERS, STREAM, requestHeaders(path)),
  ]);
}

/** A gRPC message, in frames of at most 16 KiB: the smallest limit that a server may set. */
export function dataFrames(message: Buffer): Buffer[] {
  const header = Buffer.alloc(GRPC_HEADER);
  header.writeUInt32BE(message.length, 1);
  const payload = Buffer.concat([header, message]);
  const frames: Buffer[] = [];
  for (let at = 0; at < payload.length; at += 16_384) {
    frames.push(frame(FrameType.DATA, 0, STREAM, payload.subarray(at, at + 16_384)));
  }
  return frames;
}

/** Gives back receive window, of the stream and of the connection. */
export function windowUpdate(bytes: number): Buffer {
  const increment = Buffer.alloc(4);
  increment.writeUInt32BE(bytes);
  return Buffer.concat([
    frame(FrameType.WINDOW_UPDATE, 0, 0, increment),
    frame(FrameType.WINDOW_UPDATE, 0, STREAM, increment),
  ]);
}

export const settingsAck = frame(FrameType.SETTINGS, ACK, 0, Buffer.alloc(0));

export function pingAck(payload: Buffer): Buffer {
  return frame(FrameType.PING, ACK, 0, payload);
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, FRAME_HEADER);
  return bytes;
}

// HPACK (RFC 7541): entries of the static table, else literals without indexing and without Huffman coding.
function requestHeaders(path: string): Buffer {
  const methodPost = 0x83;
  const schemeHttp = 0x86;
  const fields = [
    [0x04, ...text(path)],
    [0x01, ...text('localhost')],
    [0x0f, 0x10, ...text('application/grpc')], // content-type
    [0x00, ...text('te'), ...text('trailers')],
  ];
  return Buffer.from([methodPost, schemeHttp, ...fields.flat()]);
}

function text(value: string): number[] {
  return [value.length, ...Buffer.from(value, 'latin1')];
}
