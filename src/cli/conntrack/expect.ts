import { Direction } from '../../conntrack/connection.ts';
import type { Expectation } from '../../conntrack/expectations.ts';
import type { ConntrackService } from '../../conntrack/service.ts';
import { newTupleWords } from '../../conntrack/tuple.ts';
import { Protocol } from '../../packet/protocol.ts';
import { requestedTuple } from './change.ts';
import { ConntrackProblem } from './problem.ts';
import type { Request } from './request.ts';

/**
 * `-I expect`: a connection that the helper of the master will expect. The master is the entry of the original tuple;
 * the kernel's helpers take part in it as those of user space do. Throws ConntrackProblem.
 */
export function createExpectation(service: ConntrackService, request: Request): void {
  const { protocol, addresses, values } = request;
  // The tool sends the state of TCP and leaves the mask without a protocol: the kernel refuses that.
  if (protocol?.number === Protocol.tcp) throw failure('invalid parameters');
  const masterTuple = requestedTuple(request, Direction.original);
  const source = addresses.get('[');
  const destination = addresses.get(']');
  if (masterTuple === null || source === undefined || destination === undefined) throw failure('invalid parameters');
  const node = service.lookup(masterTuple, 0, 0, 0);
  if (node < 0) throw failure('master conntrack not found');
  const master = service.entry(node >>> 1);
  if (master.helper === null) throw failure('Operation not supported');
  const port = (name: string) => values.get(name) ?? 0;
  const tuple = newTupleWords();
  tuple.set(source.address);
  tuple.set(destination.address, 4);
  tuple[8] = ((port('tuple-port-src') << 16) | port('tuple-port-dst')) >>> 0;
  tuple[9] = masterTuple[9]!;
  const mask = newTupleWords();
  mask.set(addresses.get('{')?.address ?? [0, 0, 0, 0]);
  mask[8] = (port('mask-port-src') << 16) >>> 0;
  const expectation: Expectation = {
    id: 0,
    tuple,
    mask,
    master: master.slot,
    zone: 0,
    class: 0,
    helper: master.helper,
    flags: 0,
    expiry: 0,
    translate: null,
    direction: 0,
    savedPort: 0,
    savedAddress: null,
    assign: null,
    dead: false,
  };
  const { expectations } = service;
  if (expectations.of(master.slot).some((other) => sameTuple(other.tuple, tuple) && sameTuple(other.mask, mask))) {
    throw failure('File exists');
  }
  const result = expectations.add(expectation, service.now());
  if (result === 'busy') throw failure('Device or resource busy');
  if (result === 'full') throw failure('Too many open files');
}

function failure(reason: string): ConntrackProblem {
  return new ConntrackProblem(`Operation failed: ${reason}`, 1);
}

function sameTuple(a: Uint32Array, b: Uint32Array): boolean {
  return a.every((word, i) => word === b[i]);
}
