import { mustRun } from './command.ts';
import { NODES, OUTSIDE, type NodeLayout } from './layout.ts';
import type { Machine } from './machine.ts';

const PREFIX = 24;
const PREFIX6 = 64;

/**
 * A network segment that the nodes share with the machine `outside`, which is their gateway to nowhere: it
 * knows how to reach every pod, and answers for one address of the wide world.
 */
export async function connectMachines(outside: Machine, nodes: ReadonlyMap<string, Machine>): Promise<void> {
  await forward(outside);
  await ip(outside, [
    'link set lo up',
    `addr add ${OUTSIDE.world}/32 dev lo`,
    `addr add ${OUTSIDE.world6}/128 dev lo nodad`,
    // Else it takes the lowest address of what is plugged into it, and changes it while others rely on it.
    'link add name lan address 02:00:00:00:00:01 type bridge',
    'link set lan up',
    `addr add ${OUTSIDE.address}/${PREFIX} dev lan`,
    `addr add ${OUTSIDE.address6}/${PREFIX6} dev lan nodad`,
    ...NODES.flatMap(({ name, ...node }) => [
      `link add name ${name} type veth peer name eth0 netns ${nodes.get(name)!.pid}`,
      `link set ${name} master lan up`,
      ...routesTo({ name, ...node }),
    ]),
  ]);
  await Promise.all(NODES.map((node) => connectNode(node, nodes.get(node.name)!)));
}

async function connectNode(node: NodeLayout, machine: Machine): Promise<void> {
  await forward(machine);
  await ip(machine, [
    'link set lo up',
    'link set eth0 up',
    `addr add ${node.address}/${PREFIX} dev eth0`,
    `addr add ${node.address6}/${PREFIX6} dev eth0 nodad`,
    `route add default via ${OUTSIDE.address}`,
    `route add default via ${OUTSIDE.address6}`,
    ...NODES.filter(({ name }) => name !== node.name).flatMap(routesTo),
  ]);
}

function routesTo(node: NodeLayout): readonly string[] {
  return [`route add ${node.podCidr} via ${node.address}`, `route add ${node.podCidr6} via ${node.address6}`];
}

async function forward(machine: Machine): Promise<void> {
  const settings = {
    'ipv4/ip_forward': 1,
    'ipv6/conf/all/disable_ipv6': 0,
    'ipv6/conf/default/disable_ipv6': 0,
    'ipv6/conf/all/forwarding': 1,
    // Every address here is known to be unique: nobody has to wait for finding that out.
    'ipv6/conf/all/accept_dad': 0,
    'ipv6/conf/default/accept_dad': 0,
  };
  const lines = Object.entries(settings).map(([name, value]) => `echo ${value} > /proc/sys/net/${name}`);
  await machine.mustRun(['sh', '-ec', lines.join('\n')]);
}

/** All or nothing is no matter here: what fails is told, and the cluster is taken down. */
async function ip(machine: Machine, commands: readonly string[]): Promise<void> {
  // Its processes stay out: a link is given to a machine by the number that its first process has out here.
  await mustRun(machine.onNetwork(['ip', '-batch', '-']), commands.join('\n'));
}
