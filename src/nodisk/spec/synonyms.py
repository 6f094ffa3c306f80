"""Other tools' names for the keys of lab.yaml: Ansible inventories, kubespray, netplan, dnsmasq, libvirt, MAAS, k3s.

A key is identified by its place (``network.gateway``), so that the hint can say where it belongs. A key without a
counterpart in nodisk gets a sentence instead, which says why or what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nodisk.yamltree import Path

WORDS: dict[str, str] = {
    # What lab.yaml has: its place → other words for it.
    "name": "cluster cluster_name lab lab_name room title",
    "network": "net networking lan segment",
    "network.subnet": "cidr network_cidr subnet_cidr range ip_range prefix netmask mask prefix_length lan_cidr",
    "network.server": "server_ip server_address api api_server apiserver endpoint control_plane_endpoint host"
    " next_server tftp_server pxe_server boot_server vip",
    "network.interface": "nic iface card dev device ethernet network_card",
    "network.gateway": "router routers gw gateway4 default_gateway default_route gateway_ip defaultgw via route routes",
    "network.dns": "dns_servers dns_server dnsservers nameserver nameservers name_servers resolver resolvers dns1 dns2"
    " domain_name_servers upstream_dns",
    "network.dhcp": "dhcp_mode dhcp4 dhcp_server proxy_dhcp proxydhcp",
    "kubernetes": "k8s kube cluster_config kubeadm release",
    "kubernetes.version": "kubernetes_version kube_version k8s_version kube_release",
    "kubernetes.pods": "pod_cidr pod_network_cidr pod_subnet cluster_cidr cluster_network pod_network pods_cidr"
    " kube_pods_subnet pod_range",
    "kubernetes.services": "service_cidr service_subnet service_network service_cluster_ip_range svc_cidr"
    " services_cidr kube_service_addresses service_range",
    "kubernetes.network": "cni network_plugin kube_network_plugin cni_plugin container_network",
    "os.kernel": "kernel_flavour kernel_flavor linux",
    "os.suite": "distro distribution codename os_release debian",
    "os.packages": "package apt apt_packages extra_packages install",
    "os.firmware": "firmwares firmware_packages",
    "os.mirror": "apt_mirror debian_mirror repository repo mirrors",
    "ssh_keys": "ssh_key ssh_authorized_keys authorized_keys ssh_public_keys public_keys sshkeys keys pubkeys"
    " authorized_key ssh_pub_key ssh_import_id",
    "butane": "ignition cloud_init cloud_config user_data userdata",
    "machines": "nodes hosts servers workers masters inventory pcs computers clients vms members",
    "machines[].name": "hostname host_name host fqdn node_name node id",
    "machines[].mac": "macs mac_address mac_addresses macaddress macaddr hwaddr hw_addr hwaddress hardware_address"
    " hardware ethernet ether lladdr nic nics",
    "machines[].address": "ip ip_address ipaddress ipv4 ipv4_address ipaddr ip_addr addr addresses ips fixed_address"
    " static_ip internal_ip internal_address ansible_host ip4",
    "machines[].role": "roles type kind group groups node_role node_type function",
    "machines[].memory": "ram mem memory_mb memory_mib ram_mb memory_size memory_gb ram_gb",
    "machines[].cpus": "cpu vcpu vcpus cores ncpus processors smp cpu_count num_cpus",
    "machines[].firmware": "bios uefi boot_mode",
    "machines[].nic_model": "nic_type card_model network_model virtual_nic",
    "machines[].labels": "label node_labels tags",
    "machines[].taints": "taint node_taints",
    "machines[].taints[].effect": "action",
    "virtual": "vm qemu libvirt",
    "menu": "boot_menu ipxe_menu pxe_menu grub_menu bootmenu",
    "menu.default": "default_entry preselected selected first",
    "menu.timeout": "time_out wait seconds delay",
    "menu.entries": "items systems labels menuentries options",
    "menu.entries[].title": "label text description menu_label",
    "menu.entries[].url": "uri chain link",
    "menu.entries[].kernel": "vmlinuz linux",
    "menu.entries[].initrd": "initramfs ramdisk initial_ramdisk",
    "menu.entries[].arguments": "args append cmdline kernel_args kernel_arguments kargs options parameters",
    "menu.entries[].password": "protected locked secret passwd login",
    "class_registry": "registry student_registry students_registry docker_registry container_registry harbor",
    "class_registry.size": "total disk space quota max_size",
    "class_registry.per_namespace": "per_student each student_quota namespace_quota",
    "peers": "peer p2p peer_to_peer bittorrent torrent swarm multicast",
    "peers.rate": "limit speed bandwidth upload max_rate rate_limit",
    "peers.layers": "images container_images blobs",
    "secure_boot": "secureboot uefi_secure_boot sb shim",
    "machines[].secure_boot": "secureboot uefi_secure_boot sb shim",
    "virtual.firmware": "bios uefi boot_mode",
    "timetable": "schedule calendar plan agenda lesson_plan opening_hours hours cron",
    "timetable.lessons": "lesson entries slots times events periods on weekly courses",
    "timetable.except": "exceptions exclude excluded holidays holiday vacation vacations exdate days_off off skip"
    " not_on free closed",
    "timetable.timezone": "tz time_zone zone tzid",
    "timetable.lead": "lead_time before warm_up early prepare in_advance start_before",
    "timetable.outside": "otherwise outside_of_lessons between idle default_boot rest",
    "virtual.cpu": "cpu_model cpu_type",
}

ABSENT: dict[str, tuple[str, str]] = {
    # What lab.yaml doesn't have: the places of such keys, and what to say.
    "domain search domain_name search_domain dns_domain": (
        "",
        "not set here: the machines' names are in NAME.internal, where NAME is the lab's",
    ),
    "lease lease_time dhcp_range dhcp_start dhcp_end pool range_start range_end": (
        "",
        "there is no pool: every machine has its `address`",
    ),
    "ntp ntp_servers ntp_server timeservers time_server": ("", "not set here: the server gives the machines the time"),
    "vlan vlan_id mtu": ("network", "not set here: the port of the switch decides it for a machine that boots by PXE"),
    "ipv6 gateway6 subnet6": ("", "nodisk's network is IPv4"),
    "password passwd pass secret token": (
        "machines[].power",
        "lab.yaml holds no passwords: `nodisk power login NAME` keeps it in the state",
    ),
    "password passwd user users username root_password": (
        "",
        "people log in as `admin` with a key of `ssh_keys`; other accounts take a Butane snippet",
    ),
    "disk disks storage root_disk": (
        "machines[]",
        "machines have no disk to boot from; a local one is mounted by a systemd unit in a Butane snippet",
    ),
    "token join_token certificate_key discovery_token_ca_cert_hash": (
        "",
        "none is needed: machines enrol with a nonce of their own (`nodisk arm`)",
    ),
    "kernel_args kernel_arguments kargs kernel_parameters append cmdline kernel_cmdline boot_args": (
        "",
        "the kernel's command line can't be changed; sysctl settings and modules take a Butane snippet with files",
    ),
    "bmc ipmi power wake_on_lan wol": ("", "nodisk switches machines on by Wake-on-LAN, to their `mac`"),
    "api_version kind metadata spec": (
        "",
        "lab.yaml is no Kubernetes manifest; `nodisk init` writes one to start from",
    ),
    "all children vars": ("", "lab.yaml is no Ansible inventory; `nodisk init` writes one to start from"),
}

CHOICES: dict[str, dict[str, str]] = {
    # Values of keys with a choice: the place, what is meant, other words for it.
    "machines[].role": {
        "control-plane": "master masters control control_plane controlplane controller controllers cp control_node"
        " server etcd manager head leader kube_control_plane kube_master master_node init main primary",
        "worker": "workers node nodes agent agents minion minions compute slave client kube_node worker_node none pc"
        " data secondary",
    },
    "network.dhcp": {
        "full": "true yes on server enabled enable nodisk own internal authoritative",
        "proxy": "proxydhcp proxy_dhcp pxe",
        "`proxy` or `none`: with the first, nodisk says what to boot, with the other the room's server does": "false no"
        " off external room disabled disable relay existing",
    },
    "kubernetes.engine": {
        "kubeadm": "kubernetes k8s true yes on",
        "none": "no off false plain bare debian",
    },
    "kubernetes.source": {
        "upstream": "official online internet release dl_k8s_io",
        "debian": "distro distribution apt",
        "path": "local file folder dir directory offline",
    },
    "kubernetes.network": {"routed": "bridge kubenet host_gw hostgw none default native ptp"},
    "timetable.outside": {
        "disk": "local local_disk own_disk hdd ssd windows none nothing",
        "lab": "network ram nodisk pxe",
    },
    "os.kernel": {"generic": "amd64 default real standard linux", "cloud": "virtual vm kvm cloud_amd64"},
    "virtual.firmware": {
        "uefi": "efi ovmf",
        "uefi-http": "http http_boot uefi_http_boot",
        "bios": "legacy seabios csm pcbios",
        "secure-boot": "secure_boot secureboot sb uefi_secure_boot",
        "secure-boot-http": "secure_boot_by_http secureboot_http sb_http uefi_secure_boot_http",
    },
}


def plain(word: str) -> str:
    """``dnsServers``, ``DNS-Servers`` and ``dns servers`` → ``dns_servers``."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word.strip())
    return re.sub(r"[\s_.-]+", "_", snake).lower()


def place(path: Path) -> str:
    """``machines[]`` for ``machines.3``."""
    return ".".join("[]" if isinstance(step, int) else step for step in path).replace(".[]", "[]")


def keys(section: str, word: str) -> str | None:
    """The place of the key that ``word`` means in ``section``; keys of that section take precedence."""
    found = list(_meant(plain(word)))
    here = [key for key in found if key.rpartition(".")[0] == section]
    return next(iter(here + found), None)


def _meant(word: str) -> Iterator[str]:
    for key, words in WORDS.items():
        last = plain(key.rpartition(".")[2])
        if word in (last, *words.split()):
            yield key


def absent(section: str, word: str) -> str | None:
    """What to do about another tool's key that has no counterpart in lab.yaml."""
    for words, (where, hint) in ABSENT.items():
        if plain(word) in words.split() and where in ("", section):
            return hint
    return None


def choice(place: str, word: str) -> str | None:
    """The intended value at a place: for ``machines[].role``, ``master`` → ``control-plane``."""
    parts = [plain(part) for part in re.split(r"[,+/]", word)]
    for value, words in CHOICES.get("machines[].role" if place == "roles" else place, {}).items():
        if any(part in (plain(value), *words.split()) for part in parts):
            return value
    return None
