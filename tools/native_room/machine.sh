#!/bin/sh
# machine.sh FOLDER NAME MAC: becomes one machine of tools/native_room.py: the image's own root with its own systemd, in
# namespaces of this host's kernel. The caller has put it into the machine's network and has made FOLDER with
#   cmdline (the kernel's), user.ign, root.squashfs (a link), sysctl/ (stand-ins), root, lower, overlay, cgroup/ (folders)
# Run twice: at first to enter the machine's cgroups and namespaces, then, as `machine.sh FOLDER NAME MAC inside`, in them.
# It does what the initramfs does (src/nodisk/node/dracut/init), from mounting the root on; what differs says why.
set -eu
folder=$1 name=$2 mac=$3

if [ "${4:-}" != inside ]; then
    for tasks in "$folder"/cgroup/*/tasks; do
        echo $$ >"$tasks"
    done
    exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup --propagation private "$0" "$folder" "$name" "$mac" inside
fi

root=$folder/root
mount -t squashfs -o loop,ro "$folder/root.squashfs" "$folder/lower"
mount -t tmpfs -o mode=0755,size=512m overlay "$folder/overlay"
mkdir "$folder/overlay/upper" "$folder/overlay/work"
mount -t overlay -o "lowerdir=$folder/lower,upperdir=$folder/overlay/upper,workdir=$folder/overlay/work" root "$root"

mount -t proc proc "$root/proc"
# Each machine has a boot of its own, and the kernel's command line of its own.
cat /proc/sys/kernel/random/uuid >"$folder/boot_id"
mount --bind "$folder/boot_id" "$root/proc/sys/kernel/random/boot_id"
mount --bind "$folder/cmdline" "$root/proc/cmdline"
# Settings of the whole kernel would be this host's: kubelet and systemd-sysctl get files to write to.
for file in "$folder"/sysctl/*; do
    mount --bind "$file" "$root/proc/sys/$(basename "$file" | tr . /)"
done

mount -t sysfs sysfs "$root/sys"
# Read-only: so systemd-networkd and others know that there is no udev.
mount -o remount,bind,ro "$root/sys"
mount -t tmpfs -o mode=0755 cgroup "$root/sys/fs/cgroup"
for controller in $(ls "$folder/cgroup"); do
    mkdir "$root/sys/fs/cgroup/$controller"
    kind=$controller
    [ "$controller" != systemd ] || kind=none,name=systemd
    mount -t cgroup -o "$kind" cgroup "$root/sys/fs/cgroup/$controller"
done

mount -t tmpfs -o mode=0755,nosuid dev "$root/dev"
for device in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "kmsg 1 11" "tty 5 0" "fuse 10 229"; do
    # shellcheck disable=SC2086 # a name and two numbers
    mknod -m 0666 "$root/dev/"${device%% *} c ${device#* }
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
: >>"$folder/console.log"
: >"$root/dev/console"
mount --bind "$folder/console.log" "$root/dev/console"

mount -t tmpfs -o mode=0755,nosuid,nodev run "$root/run"
# A log is no terminal to log in at.
ln -sf /dev/null "$root/etc/systemd/system/console-getty.service"
mkdir -p "$root/run/nodisk/ignition"
cp "$folder/user.ign" "$root/run/nodisk/ignition/user.ign"
printf '%s\n' "$(echo "nodisk $mac" | md5sum | cut -d' ' -f1)" >"$root/etc/machine-id"
hostname "$name"
chroot "$root" /usr/lib/nodisk/apply-config
# The end of a veth is a network card here, and to networkd it is no hardware.
sed -i '/^Kind=!\*$/d' "$root/etc/systemd/network/10-nodisk.network"
# Without CAP_SYS_RESOURCE nobody may protect a process from the kernel's killer more than it is: no pod would start.
if ! (echo -1 >/proc/self/oom_score_adj) 2>/dev/null; then
    sed -i '/^  sandbox_image = /a\  restrict_oom_score_adj = true' "$root/etc/containerd/config.toml"
fi

cd "$root"
pivot_root . .
umount -l .
mount --make-rshared /
# systemd 256 and later take cgroup v1 only where it is asked for; a machine boots with v2. In a container they read
# their own arguments for the kernel's command line.
exec env -i container=nodisk PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /sbin/init \
    SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1
