/** Network namespaces that stand for pods, joined by the bridge of one that stands for the world. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

const TOOLS = ['ip', 'nft', 'nsenter', 'setpriv', 'curl', 'sysctl', 'perl'];

/** Programs of administrators, before others that may have their names. */
const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

/** Why these tests cannot run here; undefined where they can. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux';
  if (process.getuid?.() !== 0) return 'only root may make network namespaces: run npm test as root';
  const missing = TOOLS.filter((tool) => !PATH.split(':').some((folder) => existsSync(`${folder}/${tool}`)));
  if (missing.length > 0) {
    return `${missing.join(', ')} not installed: apt-get install nftables iproute2 util-linux curl procps perl`;
  }
  const tried = spawnSync('unshare', ['--net', 'nft', 'list', 'tables'], { env: { PATH }, encoding: 'utf8' });
  return tried.status === 0 ? undefined : `no network namespaces here: ${tried.stderr}`;
}

/** What somebody sees of one that has ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One network namespace with an interface, as a pod has. */
export class Namespace {
  readonly name: string;
  readonly ipv4: string;
  readonly ipv6: string;

  constructor(name: string, host: number) {
    this.name = name;
    this.ipv4 = `10.77.0.${host}`;
    this.ipv6 = `fd77::${host.toString(16)}`;
  }

  /** What a program is started with to run here. */
  get entering(): readonly [string, ...string[]] {
    return ['nsenter', `--net=/run/netns/${this.name}`];
  }

  /** Runs a program here to its end. */
  async run(program: string, ...args: readonly string[]): Promise<Ended> {
    const [enter, ...words] = this.entering;
    return run(enter, [...words, program, ...args], { env: { PATH }, maxBuffer: 16 * 1024 * 1024 }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      ({ code = -1, stdout = '', stderr = '' }: Partial<Ended>) => ({ code, stdout, stderr }),
    );
  }

  /** Runs a program here that has to succeed; resolves with what it wrote. */
  async must(program: string, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(program, ...args);
    if (code !== 0)
      throw new Error(`${program} ${args.join(' ')} in ${this.name} ended with ${code}: ${stderr}`);
    return stdout;
  }
}

const PREFIX = 'cfi';

/** The world: the host of the pods and their way to everywhere, and what was plugged into it. */
export class Network {
  readonly world: Namespace;
  readonly #id: string;
  readonly #namespaces: Namespace[] = [];
  #pods = 0;

  private constructor(id: string) {
    this.#id = id;
    this.world = new Namespace(`${id}-world`, 1);
  }

  /** `label` tells several networks of one process apart. */
  static async create(label: string): Promise<Network> {
    await removeLeftOvers();
    const network = new Network(`${PREFIX}-${process.pid}-${label}`);
    const { world } = network;
    await network.#add(world);
    // Left to itself, a bridge takes the lowest address of what is plugged into it: one pod more, and to the others
    // their gateway is gone until they ask for its address again.
    await world.must('ip', 'link', 'add', 'pods', 'address', '02:00:00:00:00:01', 'type', 'bridge');
    await network.#configure(world, 'pods');
    await world.must('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
    // An address that is neither a pod's nor a Service's.
    await world.must('ip', 'address', 'add', '203.0.113.5/32', 'dev', 'pods');
    await world.must('ip', 'address', 'add', '2001:db8:5::5/128', 'dev', 'pods', 'nodad');
    return network;
  }

  /** Another pod, with its way into the world. */
  async pod(name: string): Promise<Namespace> {
    this.#pods += 1;
    const plug = `pod${this.#pods}`;
    const pod = new Namespace(`${this.#id}-${name}`, this.#pods + 9);
    await this.#add(pod);
    await this.world.must(
      'ip',
      'link',
      'add',
      plug,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      pod.name,
    );
    await this.world.must('ip', 'link', 'set', plug, 'master', 'pods', 'up');
    await this.#configure(pod, 'eth0');
    await pod.must('ip', 'route', 'add', 'default', 'via', this.world.ipv4);
    await pod.must('ip', '-6', 'route', 'add', 'default', 'via', this.world.ipv6);
    return pod;
  }

  async remove(): Promise<void> {
    for (const { name } of this.#namespaces) await run('ip', ['netns', 'delete', name], { env: { PATH } });
  }

  async #add(namespace: Namespace): Promise<void> {
    await run('ip', ['netns', 'add', namespace.name], { env: { PATH } });
    this.#namespaces.push(namespace);
    await namespace.must('ip', 'link', 'set', 'lo', 'up');
  }

  async #configure({ ipv4, ipv6, ...namespace }: Namespace, device: string): Promise<void> {
    const { name } = namespace;
    const ip = (...args: readonly string[]) => run('ip', ['-netns', name, ...args], { env: { PATH } });
    await ip('address', 'add', `${ipv4}/16`, 'dev', device);
    await ip('-6', 'address', 'add', `${ipv6}/64`, 'dev', device, 'nodad');
    await ip('link', 'set', device, 'up');
  }
}

/** Those of runs that were killed before they could clean up. */
async function removeLeftOvers(): Promise<void> {
  if (!existsSync('/run/netns')) return;
  for (const name of readdirSync('/run/netns')) {
    const pid = new RegExp(`^${PREFIX}-(\\d+)-`, 'u').exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    // Another test file may have been faster.
    await run('ip', ['netns', 'delete', name], { env: { PATH } }).catch(() => {});
  }
}
