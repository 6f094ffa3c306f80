"""etcd, flannel, docker, locksmith, update: sections that become drop-ins of units and one file.

etcd's and flannel's options differ by their version; each option is listed once with the versions that have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodisk.butane import semver
from nodisk.butane.gojson import quote
from nodisk.butane.schema import CField, CStruct, Field, Struct, compile_

Values = Mapping[str, Any]


class ServiceError(ValueError):
    """The section can't be translated; the text says why."""


# Option names in the order in which etcd 3.3 lists them; kinds: s(tring), i(nteger), b(oolean); versions: 3.0 to 3.3.
_ETCD3 = """
name s; data_dir s; wal_dir s; snapshot_count i; heartbeat_interval i; election_timeout i; enable_pprof b;
enable_v2 b 2; listen_peer_urls s; listen_client_urls s; max_snapshots i; max_wals i; cors s;
quota_backend_bytes i 3; max_txn_ops i 3; max_request_bytes i 3; grpc_keepalive_min_time s 3;
grpc_keepalive_interval s 3; grpc_keepalive_timeout s 3; initial_advertise_peer_urls s; initial_cluster s;
initial_cluster_state s; initial_cluster_token s; advertise_client_urls s; discovery s; discovery_srv s;
discovery_fallback s; discovery_proxy s; strict_reconfig_check b; auto_compaction_retention is;
auto_compaction_mode s 3; proxy s; proxy_failure_wait i; proxy_refresh_interval i; proxy_dial_timeout i;
proxy_write_timeout i; proxy_read_timeout i; ca_file s; cert_file s; key_file s; client_cert_auth b;
client_crl_file s 3; trusted_ca_file s; auto_tls b; peer_ca_file s; peer_cert_file s; peer_key_file s;
peer_client_cert_auth b; peer_crl_file s 3; peer_trusted_ca_file s; peer_auto_tls b; peer_cert_allowed_cn s 3;
auth_token s 2; debug b; log_package_levels s; force_new_cluster b; metrics s 1; log_output s 1;
listen_metrics_urls s 3; experimental_initial_corrupt_check b 3; experimental_corrupt_check_time s 3;
experimental_enable_v2v3 s 3
"""
_ETCD2 = """
advertise_client_urls s; ca_file s; cert_file s; client_cert_auth b; cors s; data_dir s; debug b; discovery s;
discovery_fallback s; discovery_srv s; discovery_proxy s; election_timeout i; enable_pprof b; force_new_cluster b;
heartbeat_interval i; initial_advertise_peer_urls s; initial_cluster s; initial_cluster_state s;
initial_cluster_token s; key_file s; listen_client_urls s; listen_peer_urls s; log_package_levels s; max_snapshots i;
max_wals i; name s; peer_ca_file s; peer_cert_file s; peer_key_file s; peer_client_cert_auth b;
peer_trusted_ca_file s; proxy s; proxy_dial_timeout i; proxy_failure_wait i; proxy_read_timeout i;
proxy_refresh_interval i; proxy_write_timeout i; snapshot_count i; strict_reconfig_check b; trusted_ca_file s;
wal_dir s
"""
_FLANNEL = """
etcd_username s 6; etcd_password s 6; etcd_endpoints s; etcd_cafile s; etcd_certfile s; etcd_keyfile s; etcd_prefix s;
ip_masq s; subnet_file s; interface s; public_ip s; kube_subnet_mgr b 7
"""
_KINDS = {"s": "string", "i": "integer", "b": "boolean"}


def _options(table: str, minor: int) -> tuple[Field, ...]:
    fields = []
    for line in table.split(";"):
        name, kind, *since = line.split()
        if kind == "is":  # a number of hours until etcd 3.2, a duration since 3.3
            kind = "s" if minor >= 3 else "i"
        if not since or minor >= int(since[0]):
            option = "iface" if name == "interface" else name.replace("_", "-")
            fields.append(Field(name, _KINDS[kind], "", json=option))  # type: ignore[arg-type]  # a Scalar by the table
    return tuple(fields)


def version_of(text: str) -> semver.Version:
    """Raises ServiceError unless ``text`` is a version with three numbers."""
    try:
        return semver.parse(text, lax=True)
    except semver.BadVersion as error:
        raise ServiceError(str(error)) from error


VERSION = Field("version", "string", "", json=None)
NETWORK = Field("network_config", "string", "", json=None, zero=True)


def etcd_struct(text: str | None, *, old: bool = False) -> CStruct | None:
    """etcd's section as version ``text`` has it (None: 3.0); None: no options are known of it. Raises ServiceError.

    ``old``: options can't be told from zero.
    """
    major, minor = version_of(text)[:2] if text is not None else (3, 0)
    if major == 2 and minor >= 3:
        options = _options(_ETCD2, minor)
    elif major == 3 and minor >= 0:
        options = _options(_ETCD3, min(minor, 3))
    else:
        return None
    return _section("Etcd", (VERSION,), options, old)


def flannel_struct(text: str | None, *, old: bool = False) -> CStruct | None:
    """The same for flannel (None: 0.6)."""
    major, minor = version_of(text)[:2] if text is not None else (0, 6)
    if major != 0 or minor < 5:
        return None
    return _section("Flannel", (VERSION, NETWORK), _options(_FLANNEL, minor), old)


def _section(name: str, common: tuple[Field, ...], options: tuple[Field, ...], old: bool) -> CStruct:
    section = compile_(Struct(name, (*common, *options)), 1, None)
    if old:
        for option in options:
            section.by_name[option.name] = section.by_name[option.name]._replace(zero=True)
    return section


def arguments(fields: Sequence[CField], values: Values, form: str) -> list[str]:
    """``form`` filled with each option's name and value, strings quoted."""
    out = []
    for field in fields:
        value = values.get(field.name)
        if value is None or field.json is None:
            continue
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, str):
            value = quote(value)
        out.append(form.format(field.json, value))
    return out


_METADATA = {
    "azure": {"PRIVATE_IPV4": "COREOS_AZURE_IPV4_DYNAMIC", "PUBLIC_IPV4": "COREOS_AZURE_IPV4_VIRTUAL"},
    "digitalocean": {
        "HOSTNAME": "COREOS_DIGITALOCEAN_HOSTNAME",
        "PRIVATE_IPV4": "COREOS_DIGITALOCEAN_IPV4_PRIVATE_0",
        "PUBLIC_IPV4": "COREOS_DIGITALOCEAN_IPV4_PUBLIC_0",
        "PRIVATE_IPV6": "COREOS_DIGITALOCEAN_IPV6_PRIVATE_0",
        "PUBLIC_IPV6": "COREOS_DIGITALOCEAN_IPV6_PUBLIC_0",
    },
    "ec2": {
        "HOSTNAME": "COREOS_EC2_HOSTNAME",
        "PRIVATE_IPV4": "COREOS_EC2_IPV4_LOCAL",
        "PUBLIC_IPV4": "COREOS_EC2_IPV4_PUBLIC",
    },
    "gce": {
        "HOSTNAME": "COREOS_GCE_HOSTNAME",
        "PRIVATE_IPV4": "COREOS_GCE_IP_LOCAL_0",
        "PUBLIC_IPV4": "COREOS_GCE_IP_EXTERNAL_0",
    },
    "packet": {
        "HOSTNAME": "COREOS_PACKET_HOSTNAME",
        "PRIVATE_IPV4": "COREOS_PACKET_IPV4_PRIVATE_0",
        "PUBLIC_IPV4": "COREOS_PACKET_IPV4_PUBLIC_0",
        "PUBLIC_IPV6": "COREOS_PACKET_IPV6_PUBLIC_0",
    },
    "openstack-metadata": {
        "HOSTNAME": "COREOS_OPENSTACK_HOSTNAME",
        "PRIVATE_IPV4": "COREOS_OPENSTACK_IPV4_LOCAL",
        "PUBLIC_IPV4": "COREOS_OPENSTACK_IPV4_PUBLIC",
    },
    "vagrant-virtualbox": {
        "HOSTNAME": "COREOS_VAGRANT_VIRTUALBOX_HOSTNAME",
        "PRIVATE_IPV4": "COREOS_VAGRANT_VIRTUALBOX_PRIVATE_IPV4",
    },
    "cloudstack-configdrive": {"HOSTNAME": "CLOUDSTACK_LOCAL_HOSTNAME"},
    "custom": {
        "HOSTNAME": "COREOS_CUSTOM_HOSTNAME",
        "PRIVATE_IPV4": "COREOS_CUSTOM_PRIVATE_IPV4",
        "PUBLIC_IPV4": "COREOS_CUSTOM_PUBLIC_IPV4",
        "PRIVATE_IPV6": "COREOS_CUSTOM_PRIVATE_IPV6",
        "PUBLIC_IPV6": "COREOS_CUSTOM_PUBLIC_IPV6",
    },
}
PLATFORMS = tuple(_METADATA)


def templated(words: Sequence[str], platform: str) -> list[str]:
    """``{PRIVATE_IPV4}`` becomes the variable that the platform's metadata has it in. Raises ServiceError."""
    return [_templated(word, _METADATA[platform]) for word in words]


def _templated(word: str, fields: Mapping[str, str]) -> str:
    """A name begins at the first opening brace and ends at the first closing one, wherever that is."""
    start, end = word.find("{"), word.find("}")
    while 0 <= start < end:
        name = word[start + 1 : end]
        if name not in fields:
            raise ServiceError("unknown field")
        word = word.replace(f"{{{name}}}", f"${{{fields[name]}}}", 1)
        # The brace just written is before the old end, because a variable's name is longer than a field's.
        start = word.find("{", end)
        end = word.find("}", start) if start >= 0 else end
    return word


def _unit(command: str, options: list[str], environment: list[str], platform: str, last: list[str]) -> str:
    """The text of a drop-in that runs ``command`` with ``options``. Raises ServiceError."""
    head: list[str] = []
    service: list[str] = []
    if any("{" in option or "}" in option for option in options):
        if not platform:
            raise ServiceError("platform must be specified to use templating")
        head = ["[Unit]", "Requires=coreos-metadata.service", "After=coreos-metadata.service", ""]
        service.append("EnvironmentFile=/run/metadata/coreos")
        options = templated(options, platform)
    service += [f'Environment="{value}"' for value in environment]
    service += ["ExecStart=", "ExecStart=" + " \\\n  ".join([command, *options]), *last]
    return "\n".join([*head, "[Service]", *service])


def _enabled(name: str, dropin: str, contents: str) -> dict[str, Any]:
    return {"name": name, "enable": True, "dropins": [{"name": dropin, "contents": contents}]}


def metadata_units(platform: str) -> list[dict[str, Any]]:
    """Which metadata service to ask, on platforms that don't say it themselves."""
    if platform not in ("openstack-metadata", "cloudstack-configdrive"):
        return []
    dropin = {
        "name": "20-clct-provider-override.conf",
        "contents": f"[Service]\nEnvironment=COREOS_METADATA_OPT_PROVIDER=--provider={platform}",
    }
    return [
        {"name": "coreos-metadata.service", "dropins": [dropin]},
        {"name": "coreos-metadata-sshkeys@.service", "enabled": True, "dropins": [dict(dropin)]},
    ]


def docker_unit(docker: Values) -> dict[str, Any]:
    """Docker with options."""
    contents = '[Service]\nEnvironment="DOCKER_OPTS=' + " ".join(docker.get("flags", ())) + '"'
    return _enabled("docker.service", "20-clct-docker.conf", contents)


def etcd_unit(etcd: Values, struct: CStruct, platform: str) -> dict[str, Any]:
    """etcd as a container. Raises ServiceError."""
    options = arguments(tuple(struct.by_name.values()), etcd, "--{}={}")
    environment = [f"ETCD_IMAGE_TAG=v{version_of(etcd['version'])}"] if "version" in etcd else []
    contents = _unit("/usr/lib/coreos/etcd-wrapper $ETCD_OPTS", options, environment, platform, [])
    return _enabled("etcd-member.service", "20-clct-etcd-member.conf", contents)


def flannel_unit(flannel: Values, struct: CStruct, platform: str) -> dict[str, Any]:
    """flannel, after its network configuration was put into etcd. Raises ServiceError."""
    options = arguments(tuple(struct.by_name.values()), flannel, "--{}={}")
    environment = [f"FLANNEL_IMAGE_TAG=v{version_of(flannel['version'])}"] if "version" in flannel else []
    last = []
    if flannel.get("network_config"):
        words = ["ExecStartPre=/usr/bin/etcdctl"]
        for name, option in (
            ("etcd_endpoints", "endpoints"),
            ("etcd_cafile", "ca-file"),
            ("etcd_certfile", "cert-file"),
            ("etcd_keyfile", "key-file"),
        ):
            if name in flannel:
                words.append(f"--{option}={quote(flannel[name])}")
        last = [" ".join([*words, "set /coreos.com/network/config", quote(flannel["network_config"])])]
    contents = _unit("/usr/lib/coreos/flannel-wrapper $FLANNEL_OPTS", options, environment, platform, last)
    return _enabled("flanneld.service", "20-clct-flannel.conf", contents)


def update_conf(update: Values | None, locksmith: Values | None, fields: Sequence[CField]) -> str:
    """The text of /etc/coreos/update.conf; "" for none."""
    text = ""
    if update is not None:
        if update.get("group"):
            text += "GROUP=" + update["group"].lower()
        if update.get("server"):
            text += "\nSERVER=" + update["server"]
    if locksmith is not None:
        lines = arguments(fields, locksmith, "{}={}")
        if lines:
            text += "\n" + "\n".join(lines)
    return text
