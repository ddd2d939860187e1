import type { KernelError } from '../extensions/contract.ts';

/** Errors that a command of the iptables family can end in, by errno name. */
export type Errno = KernelError | 'E2BIG' | 'EMLINK' | 'ENOTEMPTY' | 'EBUSY';

const TEXTS: Readonly<Record<Errno, string>> = {
  EINVAL: 'Invalid argument',
  ENOENT: 'No such file or directory',
  ERANGE: 'Numerical result out of range',
  EPROTONOSUPPORT: 'Protocol not supported',
  EOPNOTSUPP: 'Operation not supported',
  ENOTSUPP: 'Unknown error 524',
  EEXIST: 'File exists',
  ELOOP: 'Too many levels of symbolic links',
  EDOM: 'Numerical argument out of domain',
  ENOPROTOOPT: 'Protocol not available',
  ENOMEM: 'Cannot allocate memory',
  E2BIG: 'Argument list too long',
  EMLINK: 'Too many links',
  ENOTEMPTY: 'Directory not empty',
  EBUSY: 'Device or resource busy',
};

/** Text of `strerror`. */
export function errnoText(errno: Errno): string {
  return TEXTS[errno];
}

/** What both tools say instead of strerror's text, whatever was being done. */
const GENERAL: Readonly<Partial<Record<Errno, string>>> = {
  ENOPROTOOPT: 'iptables who? (do you need to insmod?)',
  ENOMEM: 'Memory allocation problem',
  ENOENT: 'No chain/target/match by that name',
};

const BAD_RULE = 'Bad rule (does a matching rule exist in that chain?)';

/** What iptables-legacy says for an error of the step of libiptc that met it (`iptc_strerror`). */
export function legacyErrorText(step: string, errno: Errno): string {
  const texts: Readonly<Record<string, string>> = {
    'create-chain EEXIST': 'Chain already exists',
    'insert E2BIG': 'Index of insertion too big',
    'replace E2BIG': 'Index of replacement too big',
    'delete-number E2BIG': 'Index of deletion too big',
    'zero-counter E2BIG': 'Index of counter too big',
    'delete ENOENT': BAD_RULE,
    'set-policy ENOENT': 'Bad built-in chain name',
    'set-policy EINVAL': 'Bad policy name',
  };
  return texts[`${step} ${errno}`] ?? GENERAL[errno] ?? errnoText(errno);
}

/** The same for iptables-nft (`nft_strerror`). */
export function nftErrorText(step: string, errno: Errno): string {
  const texts: Readonly<Record<string, string>> = {
    'delete-chain EBUSY': 'Directory not empty',
    'create-chain EEXIST': 'Chain already exists',
    'insert E2BIG': 'Index of insertion too big',
    'replace E2BIG': 'Index of replacement too big',
    'delete-number E2BIG': 'Index of deletion too big',
    'check ENOENT': BAD_RULE,
    'delete ENOENT': BAD_RULE,
    'set-policy ENOENT': 'Bad built-in chain name',
    'set-policy EINVAL': 'Bad policy name',
  };
  return texts[`${step} ${errno}`] ?? (errno === 'ELOOP' ? 'Loop found in table' : GENERAL[errno]) ?? errnoText(errno);
}

/** A command that ended in an errno: thrown by the steps, worded by the command. */
export class StepError extends Error {
  readonly step: string;
  readonly errno: Errno;
  constructor(step: string, errno: Errno) {
    super(`${step}: ${errno}`);
    this.step = step;
    this.errno = errno;
  }
}
