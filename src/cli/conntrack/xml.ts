import { Direction, Status, type Tuple } from '../../conntrack/connection.ts';
import type { Entry } from '../../conntrack/entry.ts';
import type { EntryEvent } from '../../conntrack/events.ts';
import { protocolName } from '../../conntrack/format.ts';
import { TCP_STATE_NAMES } from '../../conntrack/protocols/tcp-states.ts';
import { Extra, Field } from '../../conntrack/table.ts';
import { formatAddress } from '../../packet/address-text.ts';
import { hasPorts, Protocol } from '../../packet/protocol.ts';
import { ageOf, type Life, labelText, type Style } from './style.ts';

export const XML_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n';

/** An entry as a line of XML; with an event as `-E` prints it, whose moment is the style's clock. */
export function entryXml(entry: Entry, now: number, style: Style, life: Life | null, event?: EntryEvent): string {
  const counted = event === undefined || event.kind === 'destroy';
  const directions = (entry.zoneWord >>> 16) & 3;
  const side = (direction: Direction): string => {
    const tuple = entry.tuple(direction);
    let layer4 = '';
    if (hasPorts(tuple.protocol)) layer4 = `<sport>${tuple.sourcePort}</sport><dport>${tuple.destinationPort}</dport>`;
    else if (tuple.protocol === Protocol.gre) {
      layer4 = `<srckey>0x${tuple.sourcePort.toString(16)}</srckey><dstkey>0x${tuple.destinationPort.toString(16)}</dstkey>`;
    }
    const zone =
      directions === direction + 1 && entry.zone(direction) !== 0 ? `<zone>${entry.zone(direction)}</zone>` : '';
    const counters =
      counted && entry.has(Extra.accounting)
        ? `<counters><packets>${entry.packets(direction)}</packets><bytes>${entry.bytes(direction)}</bytes></counters>`
        : '';
    return `<meta direction="${direction === 0 ? 'original' : 'reply'}">${layer3(tuple)}<layer4 protonum="${tuple.protocol}" protoname="${protocolName(tuple.protocol)}">${layer4}</layer4>${zone}${counters}</meta>`;
  };
  const state = entry.words[entry.base + Field.protocol]! & 0xff;
  let text = `<flow${event === undefined ? '' : ` type="${event.kind}"`}>${side(Direction.original)}${side(Direction.reply)}<meta direction="independent">`;
  // States of SCTP too are printed by the names of TCP's.
  if (entry.stateName !== null && event?.state !== false) text += `<state>${TCP_STATE_NAMES[state]}</state>`;
  text += `<timeout>${Math.floor(entry.remaining(now) / 1e6)}</timeout>`;
  if (event === undefined || event.mark || entry.mark !== 0) text += `<mark>${entry.mark}</mark>`;
  if (event?.labels !== false) {
    const names = labelText(entry, style.labelNames);
    if (names.length > 0) text += `<labels>${names.map((name) => `<label>${name}</label>`).join('')}</labels>`;
  }
  if (directions === 3 && entry.zone(Direction.original) !== 0)
    text += `<zone>${entry.zone(Direction.original)}</zone>`;
  if (event === undefined) text += `<use>${style.use + entry.children}</use>`;
  text += `<id>${entry.id}</id>`;
  if ((entry.status & Status.assured) !== 0) text += '<assured/>';
  if ((entry.status & Status.seenReply) === 0) text += '<unreplied/>';
  if (life !== null && counted) {
    const nanoseconds = (time: number) => BigInt(Math.round(time)) * 1000n;
    if (style.output.has('ktimestamp')) {
      const stop = life.stopped === null ? '' : `<stop>${nanoseconds(life.stopped)}</stop>`;
      text += `<timestamp><start>${nanoseconds(life.started)}</start>${stop}</timestamp>`;
    }
    text += `<deltatime>${ageOf(style, life)}</deltatime>`;
  }
  text += '</meta>';
  if (event !== undefined && style.output.has('timestamp')) text += when(style.clock);
  if (entry.helper !== null && event?.kind !== 'destroy') text += `<helper>${entry.helper}</helper>`;
  return `${text}</flow>`;
}

/** The local time of an event; days and months count from 1. */
function when(time: number): string {
  const date = new Date(time / 1000);
  const two = (value: number) => String(value).padStart(2, '0');
  return (
    `<when><hour>${date.getHours()}</hour><min>${two(date.getMinutes())}</min><sec>${two(date.getSeconds())}</sec>` +
    `<wday>${date.getDay() + 1}</wday><day>${date.getDate()}</day><month>${date.getMonth() + 1}</month><year>${date.getFullYear()}</year></when>`
  );
}

function layer3(tuple: Tuple): string {
  const { family } = tuple;
  const head = family === 4 ? 'protonum="2" protoname="ipv4"' : 'protonum="10" protoname="ipv6"';
  return `<layer3 ${head}><src>${formatAddress(family, tuple.source)}</src><dst>${formatAddress(family, tuple.destination)}</dst></layer3>`;
}
