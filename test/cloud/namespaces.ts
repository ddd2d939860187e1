import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import process from 'node:process';
import type { HostPlan, NetworkPlan } from '../../src/network/plan.ts';
import { CLIENT, SERVER } from './programs.ts';

export interface RealAnswer {
  result: 'answered' | 'refused' | 'lost';
  /** The client as the server saw it; null for echo requests and what got no answer. */
  seenAs: string | null;
  /** The host that answered; null likewise. */
  server: string | null;
}

/** A planned network in network namespaces of this machine: one for each host, one for each link of more than two ends. */
export class RealNetwork {
  readonly #plan: NetworkPlan;
  readonly #prefix: string;
  readonly #variant: 'legacy' | 'nft';
  readonly #namespaces: string[] = [];
  readonly #servers: ChildProcess[] = [];

  constructor(plan: NetworkPlan, variant: 'legacy' | 'nft', number: number) {
    this.#plan = plan;
    this.#variant = variant;
    this.#prefix = `iptsimcloud${process.pid}n${number}`;
  }

  async start(): Promise<void> {
    for (const { name } of this.#plan.hosts) this.#makeNamespace(this.#host(name));
    for (const host of this.#plan.hosts) this.#prepare(host);
    this.#plan.links.forEach(({ ends }, index) => {
      if (ends.length === 2) {
        const [a, b] = ends;
        this.#wire(this.#host(a!.host), a!.device, this.#host(b!.host), b!.device);
        return;
      }
      const hub = `${this.#prefix}l${index}`;
      this.#makeNamespace(hub);
      run('ip', ['-n', hub, 'link', 'add', 'name', 'sw', 'type', 'bridge']);
      run('ip', ['-n', hub, 'link', 'set', 'dev', 'sw', 'up']);
      ends.forEach((end, port) => {
        this.#wire(this.#host(end.host), end.device, hub, `p${port}`);
        run('ip', ['-n', hub, 'link', 'set', 'dev', `p${port}`, 'master', 'sw', 'up']);
      });
    });
    for (const host of this.#plan.hosts) this.#configure(host);
    for (const host of this.#plan.hosts) this.#loadRules(host);
    await Promise.all(this.#plan.hosts.map((host) => this.#listen(host)));
  }

  /** Runs a command on a host and returns what it prints. Throws where it fails. */
  exec(host: string, words: readonly string[], input = ''): string {
    return run('ip', ['netns', 'exec', this.#host(host), ...words], input);
  }

  /** Starts a program on a host; it is killed with the network. */
  spawn(host: string, words: readonly string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.#host(host), ...words]);
    this.#servers.push(child);
    return child;
  }

  /** Puts a conversation with real programs. */
  async ask(
    from: string,
    protocol: 'tcp' | 'udp' | 'icmp',
    address: string,
    port: number,
    source: number,
  ): Promise<RealAnswer> {
    const words =
      protocol === 'icmp'
        ? ['ping', '-n', '-c', '1', '-W', '1', address]
        : ['python3', '-c', CLIENT, protocol, address, String(port), String(source)];
    const text = await output('ip', ['netns', 'exec', this.#host(from), ...words]);
    if (protocol === 'icmp') {
      const result = / 0% packet loss/.test(text)
        ? 'answered'
        : /Unreachable|prohibited|Filtered/i.test(text)
          ? 'refused'
          : 'lost';
      return { result, seenAs: null, server: null };
    }
    const [result, seenAs, server] = text.trim().split(' ');
    if (result !== 'answered' && result !== 'refused' && result !== 'lost') throw new Error(`client: ${text}`);
    return result === 'answered'
      ? { result, seenAs: seenAs!, server: server! }
      : { result, seenAs: null, server: null };
  }

  /** Packets counted at a rule, or with null at the policy of a chain. */
  packets(host: string, family: 4 | 6, table: string, chain: string, rule: number | null): number {
    const tool = family === 4 ? 'iptables' : 'ip6tables';
    const save = run('ip', ['netns', 'exec', this.#host(host), `${tool}-${this.#variant}-save`, '-c', '-t', table]);
    const lines = save.split('\n');
    if (rule === null) {
      return Number(/\[(\d+):/.exec(lines.find((line) => line.startsWith(`:${chain} `)) ?? '')?.[1]);
    }
    const rules = lines.filter((line) => line.includes(`] -A ${chain} `));
    return Number(/^\[(\d+):/.exec(rules[rule - 1] ?? '')?.[1]);
  }

  stop(): void {
    for (const server of this.#servers) server.kill('SIGKILL');
    for (const name of this.#namespaces) spawnSync('ip', ['netns', 'del', name]);
  }

  #host(name: string): string {
    return `${this.#prefix}h${this.#plan.hosts.findIndex((host) => host.name === name)}`;
  }

  #makeNamespace(name: string): void {
    run('ip', ['netns', 'add', name]);
    this.#namespaces.push(name);
    this.#sysctl(name, 'net.ipv6.conf.all.accept_dad', '0');
    this.#sysctl(name, 'net.ipv6.conf.default.accept_dad', '0');
    this.#sysctl(name, 'net.ipv4.conf.all.rp_filter', '0');
    this.#sysctl(name, 'net.ipv4.conf.default.rp_filter', '0');
    run('ip', ['-n', name, 'link', 'set', 'dev', 'lo', 'up']);
  }

  #sysctl(namespace: string, name: string, value: string): void {
    run('ip', ['netns', 'exec', namespace, 'sysctl', '-qw', `${name}=${value}`]);
  }

  #wire(a: string, aName: string, b: string, bName: string): void {
    run('ip', ['link', 'add', 'name', aName, 'netns', a, 'type', 'veth', 'peer', 'name', bName, 'netns', b]);
  }

  #prepare({ name, description }: HostPlan): void {
    for (const [key, value] of Object.entries(description.sysctl ?? {}))
      this.#sysctl(this.#host(name), key, String(value));
    for (const [device, described] of Object.entries(description.interfaces ?? {})) {
      if (described?.bridge != null)
        run('ip', ['-n', this.#host(name), 'link', 'add', 'name', device, 'type', 'bridge']);
    }
    const bridges = Object.values(description.interfaces ?? {}).some((described) => described?.bridge != null);
    if (!bridges) return;
    for (const tool of ['iptables', 'ip6tables'])
      this.#sysctl(this.#host(name), `net.bridge.bridge-nf-call-${tool}`, '1');
  }

  #configure({ name, description }: HostPlan): void {
    const namespace = this.#host(name);
    const ip = (...args: string[]): string => run('ip', ['-n', namespace, ...args]);
    const interfaces = Object.entries(description.interfaces ?? {});
    for (const [device, described] of interfaces) {
      if (described?.mac != null) ip('link', 'set', 'dev', device, 'address', described.mac);
      for (const port of described?.bridge ?? []) ip('link', 'set', 'dev', port, 'master', device);
    }
    for (const [device, described] of interfaces) {
      if (described?.hairpin === true) ip('link', 'set', 'dev', device, 'type', 'bridge_slave', 'hairpin', 'on');
    }
    for (const [device, described] of interfaces) {
      ip('link', 'set', 'dev', device, 'up');
      for (const address of described?.addresses ?? []) {
        ip('address', 'add', address, 'dev', device, ...(address.includes(':') ? ['nodad'] : []));
      }
    }
    for (const route of description.routes ?? [])
      ip(...(route.includes(':') ? ['-6'] : []), 'route', 'add', ...route.split(' '));
  }

  #loadRules({ name, texts, added }: HostPlan): void {
    const load = (words: string[], text: string): void => {
      if (text !== '') run('ip', ['netns', 'exec', this.#host(name), ...words], text);
    };
    load(['ipset', 'restore'], texts.sets.text);
    load([`iptables-${this.#variant}-restore`], texts.rules4.text);
    load([`ip6tables-${this.#variant}-restore`], texts.rules6.text);
    load([`iptables-${this.#variant}-restore`, '--noflush'], added?.rules4 ?? '');
    load([`ip6tables-${this.#variant}-restore`, '--noflush'], added?.rules6 ?? '');
  }

  /** Starts the host's server and waits until it listens. */
  async #listen({ name, description }: HostPlan): Promise<void> {
    const sockets = (description.listen ?? [])
      .map((entry) =>
        typeof entry === 'string' ? entry : entry.port + (entry.address == null ? '' : `@${entry.address}`),
      )
      .filter((socket) => /^(tcp|udp)\//.test(socket));
    if (sockets.length === 0) return;
    const server = spawn('ip', ['netns', 'exec', this.#host(name), 'python3', '-c', SERVER, name, ...sockets]);
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.stdout.once('data', () => resolve());
      server.stderr.once('data', (text) => reject(new Error(`server of ${name}: ${text}`)));
    });
  }
}

function run(command: string, args: string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', input });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

function output(command: string, args: string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(command, args);
    let text = '';
    child.stdout.on('data', (part) => {
      text += part;
    });
    child.stderr.on('data', (part) => {
      text += part;
    });
    child.once('close', () => resolve(text));
  });
}
