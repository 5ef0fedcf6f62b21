"""`riad engine`: the container engine alone, with dockerd's own flag names.

Without a command it runs the daemon; the commands are imported only when they are used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from riad.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from riad.engine.access.addresses import TlsFiles

_FILE = click.Path(path_type=Path, dir_okay=False)

COMMANDS = {
    "doctor": ("riad.cli.engine.doctor:doctor", "Examine this host and say what to do about each finding."),
    "repair": ("riad.cli.engine.repair:repair", "Find what no container, image or network owns; remove it with --yes."),
    "ports": ("riad.cli.engine.ports:ports", "Show every published port and who can reach it."),
    "socket": (
        "riad.cli.engine.socket:scoped_socket",
        "Serve a socket that shows and allows one project's things only.",
    ),
    "certs": ("riad.cli.engine.certs:certs", "Make certificates for TCP: an authority, a server's, a client's."),
}


@click.group("engine", cls=LazyGroup, table=COMMANDS, invoke_without_command=True)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    default=Path("/var/lib/riad/engine"),
    show_default=True,
    help="Images, containers, volumes and state.",
)
@click.option(
    "--exec-root",
    type=click.Path(path_type=Path),
    default=Path("/run/riad/engine"),
    show_default=True,
    help="Sockets and runtime state; need not outlive a reboot.",
)
@click.option(
    "-H",
    "--host",
    "hosts",
    multiple=True,
    default=("unix:///run/riad/engine.sock",),
    show_default=True,
    help="Where to listen: unix:///PATH, or tcp://HOST:PORT with --tlsverify; repeatable.",
)
@click.option(
    "-G", "--group", default="docker", show_default=True, help="Group that may use the sockets, if it exists."
)
@click.option("--tlsverify", is_flag=True, help="TCP with TLS, for clients with a certificate of --tlscacert only.")
@click.option("--tlscacert", type=_FILE, help="Authority of the clients' certificates (PEM).")
@click.option("--tlscert", type=_FILE, help="The server's certificate (PEM).")
@click.option("--tlskey", type=_FILE, help="The server's key (PEM).")
@click.option("--insecure-loopback", is_flag=True, help="TCP on loopback without TLS: every user here is then root.")
@click.option("--registry-mirror", "mirrors", multiple=True, help="Mirror to ask before the registry; repeatable.")
@click.option(
    "--insecure-registry",
    "insecure",
    multiple=True,
    help="Registry (HOST[:PORT] or network) that may be spoken to without TLS; repeatable.",
)
@click.option("--metrics-addr", default="", help="HOST:PORT for Prometheus' GET /metrics, such as 127.0.0.1:9323.")
@click.option("--bip", default="", help="Address and prefix of the default bridge, such as 172.20.0.1/24.")
@click.option("--fixed-cidr", default="", help="Part of that network from which containers get addresses.")
@click.option("--ipv6", is_flag=True, help="IPv6 on the default bridge too, from the engine's own prefix.")
@click.option("--fixed-cidr-v6", default="", help="IPv6 subnet of the default bridge, such as fd00:1::/64.")
@click.option("--ip", default="", help="Address of this host to publish ports on that name none. [default: all]")
@click.option(
    "--default-address-pool",
    "pools",
    multiple=True,
    metavar="base=SUBNET,size=BITS",
    help="Where subnets of networks that name none come from; repeatable.",
)
@click.option("--dns", multiple=True, help="Name server of containers that name none; repeatable.")
@click.option("--dns-search", multiple=True, help="Search domain of containers that name none; repeatable.")
@click.option("--dns-opt", multiple=True, help="Resolver option of containers that name none; repeatable.")
@click.option(
    "--userns-remap",
    default="",
    metavar="default|USER[:GROUP]|FIRST+COUNT",
    help="Run containers with the subordinate ids of this user (/etc/subuid, /etc/subgid), or with these.",
)
@click.option(
    "-l",
    "--log-level",
    type=click.Choice(["debug", "info", "warn", "error", "fatal"]),
    default="info",
    show_default=True,
)
@click.option("-D", "--debug", is_flag=True, help="Same as --log-level debug.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def engine(
    ctx: click.Context,
    *,
    data_root: Path,
    exec_root: Path,
    hosts: tuple[str, ...],
    group: str,
    tlsverify: bool,
    tlscacert: Path | None,
    tlscert: Path | None,
    tlskey: Path | None,
    insecure_loopback: bool,
    mirrors: tuple[str, ...],
    insecure: tuple[str, ...],
    metrics_addr: str,
    bip: str,
    fixed_cidr: str,
    ipv6: bool,
    fixed_cidr_v6: str,
    ip: str,
    pools: tuple[str, ...],
    dns: tuple[str, ...],
    dns_search: tuple[str, ...],
    dns_opt: tuple[str, ...],
    userns_remap: str,
    log_level: str,
    debug: bool,
    log_format: str,
) -> None:
    """Run the container engine alone (speaks the Docker Engine API)."""
    if ctx.invoked_subcommand is not None:
        _refuse_flags(ctx, ctx.invoked_subcommand)
        return
    from riad.base.recipes import suggestion
    from riad.engine.access.addresses import Guard
    from riad.engine.daemon import EngineConfig, run
    from riad.engine.networks.flags import NetworkFlags
    from riad.kernel import logs

    level = "debug" if debug else {"warn": "warning", "fatal": "critical"}.get(log_level, log_level)
    logs.configure(level=level, as_json=log_format == "json")
    config = EngineConfig(
        data_root=data_root.absolute(),
        exec_root=exec_root.absolute(),
        hosts=hosts,
        mirrors=mirrors,
        insecure=insecure,
        metrics_address=metrics_addr,
        network=NetworkFlags(bip, fixed_cidr, ipv6, fixed_cidr_v6, ip, pools, dns, dns_search, dns_opt),
        userns_remap=userns_remap,
        group=group,
        guard=Guard(_tls(tlscacert, tlscert, tlskey, verify=tlsverify), insecure_loopback),
    )
    run(config, suggest=suggestion)


def _tls(authority: Path | None, certificate: Path | None, key: Path | None, *, verify: bool) -> TlsFiles | None:
    from riad.engine.access.addresses import TlsFiles

    given = {"--tlscacert": authority, "--tlscert": certificate, "--tlskey": key}
    if not verify:
        if found := [flag for flag, file in given.items() if file is not None]:
            raise click.UsageError(f"{found[0]} needs --tlsverify: TCP is open to verified clients only")
        return None
    if authority is None or certificate is None or key is None:
        missing = " and ".join(flag for flag, file in given.items() if file is None)
        raise click.UsageError(f"--tlsverify needs {missing}; `riad engine certs DIR` makes the files")
    return TlsFiles(authority.absolute(), certificate.absolute(), key.absolute())


def _refuse_flags(ctx: click.Context, command: str) -> None:
    for name in ctx.params:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            flag = next(parameter.opts[-1] for parameter in ctx.command.params if parameter.name == name)
            raise click.UsageError(f"{flag} belongs to the daemon; flags of `{command}` come after its name")
