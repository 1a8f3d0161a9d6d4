#!/usr/bin/env bash
# Boots a machine with cameras, and runs tests/vm in it: `make vm`, or  bash tests/vm/boot.sh [PYTEST…]
#
# The machine is QEMU in software, with Debian's own kernel, which brings `vivid` (a virtual V4L2
# camera), and `uvcvideo` with `vhci_hcd` (USB cameras, and a USB port that is a socket). Its file
# system is this machine's, read-only, with what is written kept in its memory. As root, on Debian:
# needs qemu-system-x86, kmod, cpio, busybox-static (all from Debian's packages).
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
work="${DERMEDGE_VM_CACHE:-$root/out/vm}"
modules=(virtio_pci 9pnet_virtio 9p overlay vivid uvcvideo vhci_hcd uinput evdev uhid hid_cp2112)
minutes=30

mkdir -p "$work"
cd "$work"
if [[ ! -e kernel.done ]]; then
    package="$(apt-cache depends linux-image-amd64 | awk '/Depends/ {print $2; exit}')"
    apt-get download -qq "$package"
    dpkg-deb -x "$package"_*.deb kernel
    touch kernel.done
fi
release="$(basename kernel/lib/modules/*)"
depmod -b kernel "$release"

rm -rf initrd && mkdir -p initrd/{bin,modules,proc,sys,dev,host,rw}
cp "$(command -v busybox)" initrd/bin/busybox
for module in "${modules[@]}"; do
    modprobe -d kernel -S "$release" --show-depends "$module" | awk '$1 == "insmod" {print $2}'
done | awk '!seen[$0]++' | while read -r file; do
    cp "$file" initrd/modules/
    basename "$file" >>initrd/order
done

cat >initrd/init <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /order); do
    options=""
    [ "$module" = vivid.ko ] && options="n_devs=1 node_types=0x1"
    insmod "/modules/$module" $options || echo "$module was not taken"
done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576,ro,cache=loose host /host
mount -t tmpfs rw /rw
mkdir -p /rw/upper /rw/work /rw/all
mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work overlay /rw/all
mount --bind /dev /rw/all/dev
mount -t proc proc /rw/all/proc
mount -t sysfs sys /rw/all/sys
mount -t tmpfs tmp /rw/all/run
ip link set lo up
chroot /rw/all /bin/bash -c "$(cat /command)"
echo "GUEST ENDED WITH $?"
poweroff -f
INIT
chmod +x initrd/init
python="${PYTHON:-$root/.venv-dev/bin/python}"
printf 'export DERMEDGE_VM=1 HOME=/root TMPDIR=/run PYTHONDONTWRITEBYTECODE=1; cd %q && %q -m pytest -p no:cacheprovider -p no:xdist -rA %s' \
    "$root" "$python" "${*:-tests/vm}" >initrd/command
(cd initrd && find . | cpio -o -H newc --quiet | gzip -1) >initrd.gz

timeout $((minutes * 60)) qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 3G \
    -nographic -no-reboot -kernel "kernel/boot/vmlinuz-$release" -initrd initrd.gz \
    -append "console=ttyS0 quiet loglevel=1 panic=-1" \
    -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap |
    tee machine.log
grep -q '^GUEST ENDED WITH 0' machine.log
