/**
 * What the SYNs of the generator look like, as fingerprints in the format of pf.os: all kinds of windows, list of options, with and without DF.
 * The kernel has one list for the whole machine, so these stand in it as long as a run takes.
 */
export const FINGERPRINTS = `# window:ttl:df:length:options:genre:version:subtype:details
8192:64:0:44:M*:Plain:1::one option
8192:128:1:44:M*:Plain:2:far:one option, no fragments
*:64:0:48:M*,W*,N:Scaled:1::any window
%1024:255:1:48:M*,W*,N:Scaled:2::a multiple
%8192:64:0:48:M*,S,N,N:Sacked:1:old:a multiple
S4:64:0:44:M*:Sized:1::four segments
T4:64:0:44:M*:Sized:2::four packets
S4:64:1:48:M*,W*,N:Sized:3::four segments, no fragments
8192:64:0:52:M*,W*,N,S,N,N:Plain:3::three options
8192:64:1:56:M*,N,N,T:Timed:1::time stamps
8192:64:0:64:M*,W*,N,S,N,N,N,N,T:Timed:2::all options
`;
