#!/bin/bash
# Process 1 of a node of the end-to-end bed (test/lab/kube_node.py): containerd, kubelet and kube-proxy on their usual
# paths.  It has network, mounts, processes and a name of its own; with it dies all of that: a power cut.
#
#     node.sh NAME ADDRESS/PREFIX GATEWAY CGROUP NODE_DIRECTORY SHARED_DIRECTORY KUBE_BINARY
set -eu
name=$1 address=$2 gateway=$3 cgroup=$4 own=$5 shared=$6 kube=$7

read -r _ # until the bed has plugged in the cable

hostname "$name"
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
# Without one connect() to a Service fails before kube-proxy's rules see it.
ip route add default via "$gateway"
while read -r network via; do
  ip route add "$network" via "$via"
done <"$own/routes"
echo 1 >/proc/sys/net/ipv4/ip_forward

# A new /run at each start, as everywhere; /etc the machine's with our files in it; /var the node's own.
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/bed /run/lock
mount --bind "$own" /run/bed
touch /run/kube
mount --bind "$kube" /run/kube
mount --bind "$shared" /run/bed/var/lab
mount -t overlay -o lowerdir=/etc,upperdir=/run/bed/etc,workdir=/run/bed/etc.work etc /etc
mount --rbind /run/bed/var /var

# Its own cgroups are all that there are, here as in /proc.
for controller in /sys/fs/cgroup/*/; do
  [ ! -d "$controller$cgroup" ] || mount --bind "$controller$cgroup" "${controller%/}"
done

# The kubelet sets these for the whole machine, unless it finds them so: it is shown what it wants.
while read -r file value; do
  echo "$value" >"/run/${file//\//.}"
  mount --bind "/run/${file//\//.}" "/proc/sys/$file"
done <<'END'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
END
# Mounts of volumes reach the containers' namespaces.
mount --make-rshared /

keep() { # keep NAME COMMAND...: started again when it ends, as systemd does
  while :; do
    "${@:2}" >>"/var/log/$1.log" 2>&1 </dev/null || true
    echo "$1 ended" >>"/var/log/$1.log"
    sleep 1
  done
}
export HOME=/var/lib/kubelet
keep containerd containerd &
until [ -S /run/containerd/containerd.sock ]; do sleep 0.05; done
keep kubelet /run/kube kubelet --config=/etc/kubernetes/kubelet.yaml --kubeconfig=/etc/kubernetes/kubelet.conf \
  --hostname-override="$name" --node-ip="${address%/*}" --node-labels="lab/node=$name" &
keep kube-proxy /run/kube kube-proxy --kubeconfig=/etc/kubernetes/kube-proxy.conf --hostname-override="$name" \
  --proxy-mode=iptables --cluster-cidr=10.244.0.0/16 --conntrack-max-per-core=0 --conntrack-min=0 \
  --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0 &
while :; do wait || true; done # orphans are reaped here
