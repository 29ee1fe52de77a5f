import test from 'ava';
import { configPage } from './config-page.ts';

test('given views, leaves out zeros and empty fields, and keeps the bootstrap and every view by its name', (t) => {
  const page = configPage(
    { listen: { port: 0 }, upstreams: [] },
    {
      services: [{ name: 'demo/hello', endpoints: 'none', slices: [] }, {}],
      udp: { services: { a: { opened: 0, dropped: { shortage: 0 } } }, way: 'many' },
      servicesKnown: false,
      lastGood: undefined,
      messages: { listening: [] },
    },
  );
  t.deepEqual(page, {
    bootstrap: { listen: { port: 0 }, upstreams: [] },
    services: [{ name: 'demo/hello', endpoints: 'none' }, {}],
    udp: { way: 'many' },
    servicesKnown: false,
    lastGood: undefined,
    messages: {},
  });
});
