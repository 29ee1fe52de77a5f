import test from 'ava';
import { EndpointLoad } from '../balance/load.ts';
import { ENDPOINTS_SHOWN, EndpointSeries } from './endpoint-series.ts';

function openedLoads(count: number): EndpointLoad[] {
  return Array.from({ length: count }, (_, index) => {
    const load = new EndpointLoad(`10.0.0.${index}:80`);
    load.connectStarted();
    load.connectSucceeded(1, 0);
    return load;
  });
}

test('the first endpoints have a series each, the rest one together', (t) => {
  const samples = new EndpointSeries().read(openedLoads(ENDPOINTS_SHOWN + 5));
  t.is(samples.length, ENDPOINTS_SHOWN + 1);
  t.deepEqual(samples.at(0), { endpoint: '10.0.0.0:80', opened: 1, active: 1 });
  t.deepEqual(samples.at(-1), { endpoint: 'other', opened: 5, active: 5 });
});

test('what was opened to the others never goes down, whoever leaves', (t) => {
  const series = new EndpointSeries();
  const loads = openedLoads(ENDPOINTS_SHOWN + 5);
  series.read(loads);
  const others = (left: readonly EndpointLoad[]) => series.read(left).at(-1);
  t.like(
    others(loads.slice(10)),
    { endpoint: 'other', opened: 5 },
    'endpoints with a series of their own left',
  );
  t.like(
    others(loads.slice(10, -3)),
    { endpoint: 'other', opened: 5, active: 2 },
    'three of the others left',
  );
  t.like(others(loads.slice(10, -5)), { endpoint: 'other', opened: 5, active: 0 }, 'all of the others left');
  const arrived = openedLoads(20);
  t.like(others([...loads.slice(10, -5), ...arrived]), { endpoint: 'other', opened: 15, active: 10 });
});
