#!/bin/bash
# dracut module of nodisk: an initramfs that holds busybox, the drivers of network cards and one script, nothing else.
# It is used alone (dracut.conf.d/nodisk.conf names no other module): no systemd, no udev, no shell framework.

check() {
    return 255 # only where it is asked for
}

depends() {
    return 0
}

installkernel() {
    # What the root is made of.
    hostonly='' instmods loop squashfs overlay
    # Every wired card that this kernel can drive: a room's PCs are not known when the image is built.
    hostonly='' instmods '=drivers/net/ethernet' '=drivers/net/phy' '=drivers/net/usb' virtio_net virtio_pci vmxnet3 hv_netvsc \
        '=drivers/net/mdio' '=drivers/net/pcs' xen_netfront
    # USB controllers, for network cards on USB.
    hostonly='' instmods xhci_pci ehci_pci ohci_pci uhci_hcd
}

install() {
    local applet
    inst_dir /bin /sbin /proc /sys /dev /run /sysroot /tmp /etc
    inst_simple "$(command -v busybox)" /bin/busybox
    for applet in $("$initdir/bin/busybox" --list); do
        [[ $applet == busybox ]] || ln -sf busybox "$initdir/bin/$applet"
    done
    # Where the kernel itself asks for a module: CONFIG_MODPROBE_PATH.
    ln -sf ../bin/busybox "$initdir/sbin/modprobe"
    # Only in images of labs with `peers`; linked statically.
    [[ ! -e $moddir/nodisk-peers ]] || inst_simple "$moddir/nodisk-peers" /bin/nodisk-peers
    rm -f "$initdir/init"
    inst_simple "$moddir/init" /init
    chmod 0755 "$initdir/init"
}
