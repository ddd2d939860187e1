import { ip, tcp, udp, words16 } from '../frames.ts';
import type { Random } from '../random.ts';
import type { PlannedPacket } from '../scenario.ts';
import type { End, Family } from './packets.ts';

/** The client's side of a connection in which lines are exchanged; the far end answers what left the router. */
class Dialogue {
  readonly list: PlannedPacket[] = [];
  readonly #at: number;
  readonly #from: End;
  readonly #to: string;
  readonly #ports: { sourcePort: number; destinationPort: number };
  #sequence = 1001;
  #acknowledged = 5001;

  constructor(at: number, from: End, to: string, sourcePort: number, destinationPort: number) {
    this.#at = at;
    this.#from = from;
    this.#to = to;
    this.#ports = { sourcePort, destinationPort };
    this.#send('S', 1000, 0, '');
    this.#answer('SA', '');
    this.#send('A', 1001, 5001, '');
  }

  /** Index of the packet added last. */
  get last(): number {
    return this.#at + this.list.length - 1;
  }

  #send(flags: string, sequence: number, acknowledgement: number, payload: string): void {
    const { address } = this.#from;
    const segment = tcp(
      { ...this.#ports, flags, sequence, acknowledgement, payload: Buffer.from(payload, 'latin1') },
      address,
      this.#to,
    );
    const fields = { source: address, destination: this.#to, protocol: 6, id: 0x3000 + this.list.length };
    this.list.push({ dev: this.#from.dev, sourceMac: this.#from.sourceMac, hex: ip(fields, segment).toString('hex') });
  }

  #answer(kind: string, payload: string): void {
    this.list.push({ dev: '', answer: { to: this.last, kind, payload } });
  }

  say(text: string): this {
    this.#send('PA', this.#sequence, this.#acknowledged, text);
    this.#sequence += text.length;
    return this;
  }

  hear(text: string): this {
    this.#answer('PA', text);
    this.#acknowledged += text.length;
    return this;
  }

  /** Sends the last line once more. */
  again(): this {
    const { hex } = this.list.at(-1) ?? {};
    if (hex !== undefined) this.list.push({ dev: this.#from.dev, sourceMac: this.#from.sourceMac, hex });
    return this;
  }

  /** Who received the last line opens the connection that it announces, and is answered. */
  data(random: Random, kind = 'connect'): this {
    const opened = this.#at + this.list.length;
    this.list.push({ dev: '', answer: { to: this.last, kind } });
    if (random.chance(0.8)) this.list.push({ dev: '', answer: { to: opened, kind: 'SA' } });
    if (random.chance(0.5)) this.list.push({ dev: '', answer: { to: opened + 1, kind: 'A' } });
    if (random.chance(0.2)) this.list.push({ dev: '', answer: { to: opened, kind: 'error 3 3' } });
    return this;
  }
}

const ftpAddress = (address: string, port: number): string =>
  `${address.replaceAll('.', ',')},${port >> 8},${port & 255}`;

function ftp(random: Random, family: Family, at: number, from: End, to: string): PlannedPacket[] {
  const dialogue = new Dialogue(at, from, to, random.int(1024, 65000), 21);
  const port = random.int(1024, 65000);
  dialogue.hear('220 ready\r\n').say('USER a\r\n').hear('331 password\r\n');
  const extended = `EPRT |${family === 4 ? 1 : 2}|${from.address}|${port}|\r\n`;
  const kind = random.next();
  if (kind < 0.3) {
    dialogue.say(family === 4 ? `PORT ${ftpAddress(from.address, port)}\r\n` : extended);
    if (random.chance(0.2)) dialogue.again();
    dialogue.data(random);
  } else if (kind < 0.45) dialogue.say(extended).data(random);
  else if (kind < 0.7 && family === 4)
    dialogue
      .say('PASV\r\n')
      .hear(`227 Entering Passive Mode (${ftpAddress(random.chance(0.8) ? to : '203.0.113.9', port)}).\r\n`)
      .data(random);
  else if (kind < 0.9) dialogue.say('EPSV\r\n').hear(`229 Extended Passive Mode (|||${port}|)\r\n`).data(random);
  else if (kind < 0.95) dialogue.say('PORT 10,0').say(',0,10,4,1\r\n').data(random);
  else if (random.chance(0.5)) dialogue.say(random.pick(['POR', 'EPRT |1|', 'port ', 'EPRT |3|x|1|\r\n']));
  else dialogue.say('PASV\r\n').hear(random.pick(['227 Entering (10,0', '227 no\r\n', '229 Extended\r\n', '229 (||']));
  if (random.chance(0.5)) dialogue.say('QUIT\r\n').hear('221 bye\r\n');
  return dialogue.list;
}

function irc(random: Random, family: Family, at: number, from: End, to: string): PlannedPacket[] {
  const dialogue = new Dialogue(at, from, to, random.int(1024, 65000), 6667);
  const number = family === 4 ? from.address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) : 1;
  const port = random.int(1024, 65000);
  const kind = random.pick(['SEND', 'CHAT', 'MOVE', 'XSEND']);
  dialogue.say('NICK a\r\n').hear(':server 001 a :hello\r\n');
  dialogue.say(`PRIVMSG b :\u0001DCC ${kind} file ${random.chance(0.85) ? number : 123456789} ${port} 1000\u0001\r\n`);
  return dialogue.data(random).list;
}

/** A control message of PPTP (RFC 2637): its type and the fields behind it. */
function pptpMessage(type: number, fields: Buffer): string {
  const head = Buffer.concat([words16(12 + fields.length, 1, 0x1a2b, 0x3c4d, type, 0)]);
  return Buffer.concat([head, fields]).toString('latin1');
}

function pptp(random: Random, at: number, from: End, to: string): PlannedPacket[] {
  const dialogue = new Dialogue(at, from, to, random.int(1024, 65000), 1723);
  const call = random.int(1, 0xffff);
  const peer = random.int(1, 0xffff);
  const start = Buffer.concat([words16(0x100, 0, 0, 1, 0, 1, 1, 1), Buffer.alloc(128)]);
  const reply = Buffer.concat([words16(0x100, 0x100, 0, 1, 0, 1, 1, 1), Buffer.alloc(128)]);
  const request = Buffer.concat([words16(call, 1, 0, 300, 0, 1000, 0, 1, 0, 1, 64, 0, 0, 0), Buffer.alloc(64)]);
  dialogue.say(pptpMessage(1, start)).hear(pptpMessage(2, reply)).say(pptpMessage(7, request));
  const outgoing = dialogue.last;
  dialogue.hear(pptpMessage(8, words16(peer, call, random.chance(0.9) ? 0x100 : 0x200, 0, 0, 1000, 64, 0, 0, 0)));
  const gre = Buffer.concat([words16(0x3001, 0x880b, 4, peer, 0, 1), Buffer.from('data')]);
  const fields = { source: from.address, destination: to, protocol: 47, id: 0x3100 };
  const packet = { dev: from.dev, sourceMac: from.sourceMac, hex: ip(fields, gre).toString('hex') };
  // The server's packets carry the client's number of the call, as its request arrived.
  const fromServer: PlannedPacket = { dev: '', answer: { to: outgoing, kind: 'gre' } };
  const both = random.chance(0.5) ? [packet, fromServer] : [fromServer, packet];
  if (random.chance(0.4)) dialogue.say(pptpMessage(12, words16(call, 0)));
  return [...dialogue.list, ...both, packet];
}

function datagrams(from: End, to: string, sourcePort: number, destinationPort: number, payload: Buffer): PlannedPacket {
  const segment = udp(sourcePort, destinationPort, payload, from.address, to);
  const fields = { source: from.address, destination: to, protocol: 17, id: 0x3200 };
  return { dev: from.dev, sourceMac: from.sourceMac, hex: ip(fields, segment).toString('hex') };
}

function tftp(random: Random, at: number, from: End, to: string): PlannedPacket[] {
  const port = random.int(1024, 65000);
  const request = Buffer.concat([words16(random.pick([1, 1, 2, 3])), Buffer.from('file\0octet\0')]);
  const list = [datagrams(from, to, port, 69, request)];
  list.push({ dev: '', answer: { to: at, kind: 'from 2049', payload: 'block' } });
  if (random.chance(0.7)) list.push({ dev: '', answer: { to: at + 1, kind: 'reply', payload: 'ack' } });
  if (random.chance(0.3)) list.push({ dev: '', answer: { to: at, kind: 'from 2050', payload: 'block' } });
  if (random.chance(0.2)) list.push({ dev: '', answer: { to: at, kind: 'from 2051', payload: 'block' } });
  return list;
}

function amanda(random: Random, at: number, from: End, to: string): PlannedPacket[] {
  const list = [datagrams(from, to, random.int(600, 1000), 10080, Buffer.from('Amanda 2.4 REQ\n'))];
  const port = random.int(1024, 65000);
  const text = random.chance(0.9) ? `Amanda 2.4 REP\nCONNECT DATA ${port} MESG ${port + 1} INDEX ${port + 2}\n` : '';
  list.push({ dev: '', answer: { to: at, kind: 'reply', payload: text } });
  list.push({ dev: '', answer: { to: at + 1, kind: 'connect' } });
  list.push({ dev: '', answer: { to: at + 2, kind: 'SA' } });
  return list;
}

function address(family: Family, text: string): string {
  return `IN IP${family} ${text}`;
}

function sdp(family: Family, own: string, port: number, video: boolean): string {
  const owner = address(family, own);
  const lines = [
    'v=0',
    `o=a 1 1 ${owner}`,
    's=-',
    `c=${port % 64 === 0 ? '' : owner}`,
    't=0 0',
    `m=audio ${port} RTP/AVP 0`,
  ];
  if (video) lines.push(`m=video ${port + 4} RTP/AVP 31`);
  return `${lines.join('\r\n')}\r\n`;
}

function sipMessage(first: string, headers: string[], body: string): Buffer {
  const type = body === '' ? [] : ['Content-Type: application/sdp'];
  return Buffer.from(`${[first, ...headers, ...type, `Content-Length: ${body.length}`].join('\r\n')}\r\n\r\n${body}`);
}

/** Headers of a request as they should be, or with something in them that the helper cannot read. */
function sipHeaders(random: Random, method: string, own: string, far: string, port: number, over: string): string[] {
  const broken = random.chance(0.15) ? random.int(0, 3) : -1;
  return [
    `Via: SIP/2.0/${random.chance(0.95) ? over : 'UDP'} ${own}:${port};branch=z9hG4bK1`,
    `From: <sip:a@${far}>;tag=1`,
    `To: <sip:b@${far}>`,
    `Call-ID: call-${random.int(1, 9)}@${own}`,
    broken === 0 ? 'CSeq:' : `CSeq: 1 ${method}`,
    broken === 1
      ? `Contact: <sip:a@${own}:80>`
      : `Contact: <sip:a@${own}:${port}>${broken === 2 ? ';expires=soon' : ''}`,
  ];
}

/** SIP over TCP: requests in segments of a connection, several in one, or one in several. */
function sipOverTcp(random: Random, family: Family, at: number, from: End, to: string): PlannedPacket[] {
  const bracketed = (text: string): string => (family === 4 ? text : `[${text}]`);
  const [own, far] = [bracketed(from.address), bracketed(to)];
  const port = random.int(1024, 65000);
  const dialogue = new Dialogue(at, from, to, port, 5060);
  const listens = random.chance(0.5) ? port : 5060;
  const text = (first: string, method: string, more: string[], body: string): string =>
    sipMessage(`${first} SIP/2.0`, [...sipHeaders(random, method, own, far, listens, 'TCP'), ...more], body).toString(
      'latin1',
    );
  const invite = text(
    `INVITE sip:b@${far}`,
    'INVITE',
    [],
    sdp(family, from.address, random.int(256, 30000) * 2, random.chance(0.3)),
  );
  const register = text(`REGISTER sip:${far}`, 'REGISTER', ['Expires: 60'], '');
  const bye = text(`BYE sip:b@${far}`, 'BYE', [], '');
  const kind = random.next();
  if (kind < 0.3) dialogue.say(register);
  else if (kind < 0.6) dialogue.say(invite);
  else if (kind < 0.8) dialogue.say(invite + bye);
  else dialogue.say(invite.slice(0, 200)).say(invite.slice(200));
  const request = dialogue.last;
  dialogue.list.push({
    dev: '',
    answer: { to: request, kind: random.pick(['sip-sdp 200 OK', 'sip 200 OK', 'sip 486 Busy', 'sip ok']) },
  });
  if (random.chance(0.4))
    dialogue.list.push({ dev: '', answer: { to: request, kind: random.pick(['sip-media', 'sip-call']) } });
  if (random.chance(0.3)) dialogue.say(bye);
  return dialogue.list;
}

function sip(random: Random, family: Family, at: number, from: End, to: string): PlannedPacket[] {
  const bracketed = (text: string): string => (family === 4 ? text : `[${text}]`);
  const [own, far] = [bracketed(from.address), bracketed(to)];
  const port = random.chance(0.7) ? 5060 : random.int(1024, 65000);
  const headers = (method: string): string[] => sipHeaders(random, method, own, far, port, 'UDP');
  if (random.chance(0.35)) {
    const register = sipMessage(`REGISTER sip:${far} SIP/2.0`, [...headers('REGISTER'), 'Expires: 60'], '');
    const list = [datagrams(from, to, port, 5060, register)];
    list.push({ dev: '', answer: { to: at, kind: 'sip 200 OK' } });
    if (random.chance(0.6)) list.push({ dev: '', answer: { to: at, kind: 'sip-call' } });
    return list;
  }
  const media = random.chance(0.92) ? random.int(512, 30000) * 2 : random.pick([80, 0, 70000]);
  const body = sdp(family, from.address, media, random.chance(0.3));
  const invite = sipMessage(`INVITE sip:b@${far} SIP/2.0`, headers('INVITE'), body);
  const list = [datagrams(from, to, port, 5060, invite)];
  if (random.chance(0.4)) list.push({ dev: '', answer: { to: at, kind: 'sip 100 Trying' } });
  list.push({ dev: '', answer: { to: at, kind: 'sip-media' } });
  list.push({
    dev: '',
    answer: {
      to: at,
      kind: random.pick(['sip-sdp 200 OK', 'sip-sdp 200 OK', 'sip-sdp 183 Progress', 'sip 486 Busy', 'sip busy']),
    },
  });
  const answered = at + list.length - 1;
  if (random.chance(0.6)) list.push({ dev: '', answer: { to: answered, kind: 'sip-media' } });
  if (random.chance(0.4))
    list.push(datagrams(from, to, port, 5060, sipMessage(`BYE sip:b@${far} SIP/2.0`, headers('BYE'), '')));
  return list;
}

/** A conversation of an application protocol for which the kernel has a helper, with the connections that it leads to. */
export function application(random: Random, family: Family, at: number, from: End, to: string): PlannedPacket[] {
  const kind = random.next();
  if (kind < 0.4) return ftp(random, family, at, from, to);
  if (kind < 0.52) return tftp(random, at, from, to);
  if (kind < 0.74) return sip(random, family, at, from, to);
  if (kind < 0.82) return sipOverTcp(random, family, at, from, to);
  if (family === 6) return ftp(random, family, at, from, to);
  if (kind < 0.88) return irc(random, family, at, from, to);
  if (kind < 0.95) return pptp(random, at, from, to);
  return amanda(random, at, from, to);
}

/** The rules that hand those conversations to their helpers. */
export function helperRules(family: Family): string[] {
  const rules = [
    ['tcp', 21, 'ftp'],
    ['udp', 69, 'tftp'],
    ['udp', 5060, 'sip'],
    ['tcp', 5060, 'sip'],
    ...(family === 4
      ? [
          ['tcp', 6667, 'irc'],
          ['tcp', 1723, 'pptp'],
          ['udp', 10080, 'amanda'],
        ]
      : []),
  ];
  return ['PREROUTING', 'OUTPUT'].flatMap((chain) =>
    rules.map(([protocol, port, helper]) => `-A ${chain} -p ${protocol} --dport ${port} -j CT --helper ${helper}`),
  );
}
