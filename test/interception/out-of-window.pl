# A client (host, port) of a server that greets: takes the greeting, sends one segment far beyond the window of its own
# connection past the kernel, then a line, and prints what is answered. Perl, because Node has no raw sockets.
use strict;
use warnings;
use Socket qw(:DEFAULT IPPROTO_TCP);

my ($host, $port) = @ARGV;
my $server = inet_aton($host);

# Sees a copy of every TCP segment that comes in, with its IPv4 header (raw(7)).
socket(my $raw, PF_INET, SOCK_RAW, IPPROTO_TCP) or die "raw socket: $!";
socket(my $client, PF_INET, SOCK_STREAM, IPPROTO_TCP) or die "socket: $!";
connect($client, pack_sockaddr_in($port, $server)) or die "connect: $!";
my ($local_port, $local) = unpack_sockaddr_in(getsockname($client));

my ($sequence, $acknowledged) = greeting();
my $greeting;
defined sysread($client, $greeting, 4096) or die "read: $!";
send($raw, segment($acknowledged + 2**30, $sequence), 0, pack_sockaddr_in($port, $server)) or die "send: $!";
syswrite($client, "HELO\n") or die "write: $!";
my $answer;
print defined sysread($client, $answer, 4096) ? $answer : "$!\n";

# Of the first segment of this connection that has content: where it ends, and what it acknowledges (RFC 9293).
sub greeting {
    while (defined recv($raw, my $packet, 65536, 0)) {
        my ($from, $to) = unpack('x12 a4 a4', $packet);
        my $tcp = substr($packet, (ord($packet) & 15) * 4);
        my ($source, $destination, $begin, $ack, $offset) = unpack('nnNNC', $tcp);
        my $length = length($tcp) - ($offset >> 4) * 4;
        next unless $from eq $server && $source == $port && $destination == $local_port && $length > 0;
        return ($begin + $length, $ack);
    }
    die "recv: $!";
}

# PSH and ACK, one byte of content, with its checksum over the pseudo-header.
sub segment {
    my ($seq, $ack) = map { $_ % 2**32 } @_;
    my @fields = ($local_port, $port, $seq, $ack, 5 << 4, 0x18, 1024);
    my $unsummed = pack('nnNNCCnnn', @fields, 0, 0) . 'x';
    my $sum = 0;
    $sum += $_ for unpack('n*', $local . $server . pack('CCn', 0, 6, length $unsummed) . "$unsummed\0");
    $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
    return pack('nnNNCCnnn', @fields, ~$sum & 0xffff, 0) . 'x';
}
