#!/bin/sh
# Makes kernel, initramfs and a trimmed root from an unpacked Debian root. Run as root on the host, in a mount namespace
# of its own. Arguments: ROOT OUT KEEP_PERL(yes|no) KIND(cluster|plain); ROOT/usr/lib/nodisk and the dracut module are
# already in place.
# Says `step: TEXT` as it goes.
set -eu
root=$1 out=$2 keep_perl=$3 kind=$4

for folder in tmp run var/tmp; do
    mount -t tmpfs -o mode=1777 tmpfs "$root/$folder"
done
mount --bind /proc "$root/proc"
kernel=$(ls "$root/lib/modules")

# Some of its modules were taken out (nodisk.assets.kernel_modules).
chroot "$root" depmod "$kernel"

echo "step: preparing the root"
chroot "$root" sh /usr/lib/nodisk/prepare "$kind"

echo "step: making the initramfs"
# The initramfs has its modules uncompressed: busybox' modprobe reads no others, and kmod's would bring all of OpenSSL.
# One frame of zstd over all of them is no larger than each in its own of xz.
modules=$root/usr/lib/modules/$kernel
cp -a "$modules" "$out/modules"
find "$out/modules" -name '*.ko.xz' -print0 | xargs -0 -r -n 20 -P "$(nproc)" xz --decompress
mount --bind "$out/modules" "$modules"
chroot "$root" depmod "$kernel"
mkdir "$root/tmp/boot"
chroot "$root" dracut --force --kver "$kernel" /tmp/boot/initramfs
umount "$modules"
rm -rf "$out/modules"
cp "$root/tmp/boot/initramfs" "$out/initramfs"
chroot "$root" sh -c 'zstd -dcq /tmp/boot/initramfs | cpio --list --quiet' >"$out/initramfs-files"
cp "$root/boot/vmlinuz-$kernel" "$out/vmlinuz"
chmod 0644 "$out/initramfs" "$out/vmlinuz"
echo "$kernel" >"$out/kernel-version"
chroot "$root" dpkg-query --show --showformat '${Package}=${Version}\n' | LC_ALL=C sort >"$out/packages"

echo "step: trimming the root"
# Ignition's program lives among dracut's modules; everything else of dracut has done its work.
find "$root/usr/lib/dracut" -mindepth 1 -maxdepth 1 ! -name modules.d -exec rm -rf {} +
find "$root/usr/lib/dracut/modules.d" -mindepth 1 -maxdepth 1 ! -name '*ignition' -exec rm -rf {} +
if [ "$kind" = cluster ]; then
    # Of the network plugins those that the pod networks name; containerd's shims of its first versions.
    for plugin in dhcp dummy firewall host-device ipvlan macvlan ptp sbr static vlan vrf; do
        rm -f "$root/usr/lib/cni/$plugin"
    done
    # Pod networks that install their own plugins write to /opt/cni/bin, and call the others beside them.
    mkdir -p "$root/opt/cni"
    ln -s /usr/lib/cni "$root/opt/cni/bin"
    # Nothing on a node calls ctr, which is a tenth of the image.
    rm -f "$root"/usr/bin/ctr "$root"/usr/bin/containerd-stress \
        "$root"/usr/bin/containerd-shim "$root"/usr/bin/containerd-shim-runc-v1
fi
# Tools for building.
rm -f "$root"/usr/bin/ignition-validate "$root"/usr/bin/pzstd
rm -rf "$root"/boot/* "$root"/usr/bin/dracut* "$root"/usr/bin/lsinitrd "$root"/vmlinuz* "$root"/initrd.img*
# /etc/apt names the mirror and proxy of the host that builds: nobody's business, and the same packages would give
# another hash.
rm -rf "$root"/etc/apt "$root"/var/lib/dpkg/*-old "$root"/var/lib/apt "$root"/var/cache/* "$root"/var/log/* \
    "$root"/usr/share/doc "$root"/usr/share/man "$root"/usr/share/info "$root"/usr/share/locale \
    "$root"/usr/lib/x86_64-linux-gnu/gconv "$root"/usr/share/i18n "$root"/usr/lib/udev/hwdb.bin "$root"/usr/lib/udev/hwdb.d \
    "$root"/etc/udev/hwdb.bin
if [ "$kind" = cluster ]; then
    # Nothing is installed on a node that forgets it at the next boot. The list of what is inside stays.
    rm -rf "$root"/usr/lib/apt "$root"/usr/bin/apt* "$root"/usr/bin/sqv "$root"/var/lib/dpkg/info \
        "$root"/usr/lib/x86_64-linux-gnu/libapt-*.so* "$root"/usr/share/perl5/Debconf
else
    for folder in etc/apt/apt.conf.d etc/apt/preferences.d etc/apt/sources.list.d etc/apt/trusted.gpg.d \
        var/lib/apt/lists/partial var/cache/apt/archives/partial var/log/apt; do
        mkdir -p "$root/$folder"
    done
fi
mkdir -p "$root/var/lib/dpkg" "$root/var/log" "$root/var/cache"
if [ "$keep_perl" = no ]; then
    rm -rf "$root"/usr/bin/perl* "$root"/usr/lib/x86_64-linux-gnu/perl* "$root"/usr/share/perl*
    # With no packages of lab.yaml's that may want them: libraries that nothing here is linked with, what uses Berkeley's
    # DB, and the SSH client's helpers. A server of curve25519 keys reads no moduli.
    for library in libstdc++ libmvec libbrotlienc libexpatw libdb-5.3 libthread_db libmemusage libpcprofile libc_malloc_debug; do
        rm -f "$root"/usr/lib/x86_64-linux-gnu/$library.so*
    done
    rm -rf "$root"/usr/sbin/arpd "$root"/usr/lib/x86_64-linux-gnu/security/pam_userdb.so \
        "$root"/usr/lib/x86_64-linux-gnu/sasl2 "$root"/usr/bin/ssh-add "$root"/usr/bin/ssh-agent \
        "$root"/usr/bin/ssh-keyscan "$root"/usr/bin/ssh-copy-id "$root"/usr/lib/openssh/ssh-keysign \
        "$root"/usr/lib/openssh/ssh-*-helper "$root/etc/ssh/moduli"
fi
find "$root" -xdev -name __pycache__ -prune -exec rm -rf {} +
rm -f "$root/etc/ld.so.cache~" "$root"/var/lib/systemd/random-seed "$root"/etc/*- "$root"/root/.bash_history
