"""An image with a small web service, made of this host's own shell and perl: no network, no registry needed."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import engine_rootfs

SERVICE = """
use strict; use warnings; use IO::Socket::INET;
$| = 1;
print "booting $ENV{VERSION}\\n";
select(undef, undef, undef, $ENV{BOOT} // 0);
$SIG{CHLD} = 'IGNORE'; $SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => 5000, Listen => 64, ReuseAddr => 1) or die "listen: $!";
while (1) {
    my $client = $server->accept or next;
    if (fork == 0) {
        my $line = <$client> // '';
        while (my $header = <$client>) { last if $header =~ /^\\r?\\n$/ }
        my $status = $line =~ m{/health} ? ($ENV{HEALTH} // 200) : 200;
        exit 9 if $line =~ m{/die} && kill 9, getppid;
        my $body = $ENV{VERSION};
        my $length = length $body;
        print $client "HTTP/1.1 $status X\\r\\nContent-Length: $length\\r\\nConnection: close\\r\\n\\r\\n$body";
        close $client; exit 0;
    }
    close $client;
}
"""


def rootfs(folder: Path) -> bytes:
    """A tar for `docker import`; the service is /service.pl."""
    root = engine_rootfs.make(folder / "perl-rootfs")
    perl = shutil.which("perl")
    assert perl is not None
    shutil.copy(perl, root / "usr/bin/perl")
    listed = subprocess.run(["ldd", perl], capture_output=True, check=True).stdout
    for library in engine_rootfs._LIBRARY.findall(listed):
        _copy(Path(library.decode()), root)
    for name in subprocess.run(["dpkg", "-L", "perl-base"], capture_output=True, check=True, text=True).stdout.split():
        if name.endswith((".pm", ".pl", ".so")) and Path(name).is_file():
            _copy(Path(name), root)
    (root / "service.pl").write_text(SERVICE)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(root, arcname=".")
    return buffer.getvalue()


def _copy(source: Path, root: Path) -> None:
    place = root / "usr" / source.relative_to("/usr" if str(source).startswith("/usr/") else "/")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, place)
