#!/usr/bin/perl
# Stands in for the emulated tools inside `iptsim run`: hands the call to the resident process over its socket
# (src/cli/run/frames.ts has the protocol), and starts iptsim itself where that process is not to be reached.
# perl-base is enough. The values between @ are filled in when the run begins.
my ($run, $node, $iptsim, $state, $real) = (@RUN@, @NODE@, @IPTSIM@, @STATE@, @REAL@);

# Which network namespace this is: the kernel's own number (NS_GET_ID, Linux 6.18), never used twice, else its inode.
sub namespace {
  open(my $handle, '<', '/proc/self/ns/net') or return '';
  my $number = "\0" x 8;
  return unpack('Q', $number) if ioctl($handle, 0x8008b70d, $number);
  return (stat $handle)[1];
}

(my $name = $0) =~ s{.*/}{};
if ($name eq 'network-namespace') { print namespace(), "\n"; exit 0; }
my ($multi) = $name =~ /^xtables-(?:(?:nft|legacy)-)?multi$/ ? $name : ();
if ($multi && @ARGV) {
  ($name = shift @ARGV) =~ s{.*/}{};
  $ENV{IPTSIM_VARIANT} = $1 if $multi =~ /-(nft|legacy)-/;
}
if ($name !~ /^(?:ip6?tables(?:-(?:legacy|nft))?(?:-(?:save|restore))?|iptables-xml|ip6?tables-apply|ipset|conntrack)$/) {
  # One of the other names of a program with many (ebtables, iptables-translate): nothing stands in for it.
  if (!$real) {
    print STDERR "iptsim run: $name is not simulated, and the real one would reach this machine's firewall\n";
    exit 1;
  }
  my $program = ($multi || $name) =~ /legacy/ ? 'xtables-legacy-multi' : 'xtables-nft-multi';
  $program = $name if -e "$run/real/$name";
  exec { "$run/real/$program" } $name, @ARGV;
  print STDERR "iptsim run: $name: $!\n";
  exit 127;
}

my $namespace = namespace();
if (open(my $file, '<', "$run/namespace")) {
  chomp(my $own = <$file>);
  $namespace = '' if $namespace eq $own;
}

# Runs the command in a process of its own: slower, with nothing resident.
sub alone {
  my $directory = shift;
  $ENV{IPTSIM_DIR} = $directory if $directory ne '';
  exec { $node } $node, $iptsim, $name, @ARGV;
  print STDERR "iptsim run: $node: $!\n";
  exit 127;
}
sub directory {
  return $ENV{IPTSIM_DIR} if defined $ENV{IPTSIM_DIR} && $ENV{IPTSIM_DIR} ne $state;
  return $namespace eq '' ? $state : "$state/netns/$namespace";
}

# Only a directory that is ours and closed to others holds our socket.
my @about = lstat $run;
alone(directory()) unless @about && ($about[2] & 0170077) == 0040000 && $about[4] == $>;
my $socket;
socket($socket, 1, 1, 0) && connect($socket, pack('S a108', 1, "$run/socket")) or alone(directory());

sub put {
  my $bytes = pack('N', length $_[0]) . $_[0];
  while (length $bytes) {
    my $count = syswrite($socket, $bytes);
    gone() unless defined $count;
    substr($bytes, 0, $count) = '';
  }
}
sub gone {
  print STDERR "iptsim run: the process that holds the rules has ended\n";
  exit 1;
}
my $buffer = '';
sub take {
  my $wanted = shift;
  while (length $buffer < $wanted) {
    sysread($socket, $buffer, 65536, length $buffer) or gone();
  }
  return substr($buffer, 0, $wanted, '');
}
sub show {
  my ($handle, $bytes) = @_;
  while (length $bytes) {
    my $count = syswrite($handle, $bytes);
    last unless defined $count;
    substr($bytes, 0, $count) = '';
  }
}

put(join("\0", 1, $name, $namespace, (-t STDOUT ? 1 : 0) + (-t STDERR ? 2 : 0), scalar(@ARGV), @ARGV,
  map { "$_=$ENV{$_}" } keys %ENV));
while (1) {
  my ($kind, $length) = unpack('a N', take(5));
  my $bytes = take($length);
  if ($kind eq 'O') { show(\*STDOUT, $bytes); }
  elsif ($kind eq 'E') { show(\*STDERR, $bytes); }
  elsif ($kind eq 'I') { local $/; my $input = <STDIN>; put(defined $input ? $input : ''); }
  elsif ($kind eq 'L') { close $socket; alone($bytes); }
  elsif ($kind eq 'T') {
    # The namespace's own, empty legacy tables come into being, for those that ask /proc/net/ip_tables_names.
    next unless $real && -e "$run/real/xtables-legacy-multi";
    for my $word (split / /, $bytes) {
      my ($program, $table) = split m{/}, $word;
      my $child = fork;
      if (defined $child && $child == 0) {
        open(STDIN, '<', '/dev/null'); open(STDOUT, '>', '/dev/null'); open(STDERR, '>', '/dev/null');
        exec { "$run/real/xtables-legacy-multi" } $program, '-t', $table, '-S';
        exit 127;
      }
      waitpid($child, 0) if defined $child;
    }
  }
  elsif ($kind eq 'X') { exit ord $bytes; }
}
