/** Every question of the catalogue: id and name. Probes answer them all. */
export const CATALOGUE = `
O01:out.file.name-find O05:out.argv.cmdline O06:out.env.environ O02:out.file.content-grep
O08:out.meta.at-rest O07:out.mem.read O24:out.disk.after-rm O25:out.disk.thief I35:in.fd.inherited
I37:in.image.traversal I36:in.engine.binary I34:in.control.sockets I19:in.kernel.control-write
I20:in.device.nodes I25:in.sys.af_alg I27:in.sys.namespaces A23:across.layer.shared-inode
A02:across.res.memory-hog A03:across.res.fork-bomb A01:across.res.cpu-hog O04:out.proc.ps O10:out.ns.enter
O03:out.proc.root-walk O14:out.log.at-rest O15:out.net.host-sniff O16:out.net.neighbour-sniff
O17:out.unpriv.storage O19:out.unpriv.ps-environ O18:out.unpriv.api I02:in.proc.mountinfo
I01:in.proc.boot_id I04:in.limits.memory I05:in.limits.cpu I07:in.proc.load-uptime I08:in.proc.stat-delta
I09:in.proc.mem-delta I11:in.proc.fs-counters I16:in.host.block I03:in.proc.cmdline I13:in.kmsg.canary
I14:in.keyring.canary I33:in.unix.abstract I32:in.proc.host-visible I39:in.env.inherited
I41:in.net.host-reach I21:in.caps.sets I22:in.userns.map I23:in.nnp.setuid A21:across.covert.timens-lock
A08:across.disk.fill A07:across.disk.inodes A05:across.disk.write-flood A12:across.net.conntrack
A14:across.res.fds A04:across.mem.page-cache A09:across.mem.dentry-flood A10:across.net.send-flood
A11:across.net.recv-flood O22:out.disk.raw-live O23:out.disk.deleted-live O31:out.afterexit.files
O32:out.afterexit.kernel O29:out.trace.exec O13:out.mounts.open-files O36:out.build.secret
O37:out.net.metadata O38:out.net.dns I26:in.sys.socket-families I28:in.sys.uring-uffd
I29:in.sys.bpf-perf-module I30:in.sys.file-handles I31:in.sys.cross-ptrace I38:in.mount.propagation
I40:in.cp.races I42:in.dns.internal I24:in.lsm.effective I17:in.power.thermal I18:in.cgroup.paths
I15:in.kernel.symbols I10:in.kernel.build I57:in.uts.hostname I60:in.share.writeback I61:in.mount.host-tree A13:across.net.softirq
A17:across.disk.sync-storm A18:across.cpu.core-storm A19:across.log.flood A20:across.audit.flood
A06:across.disk.dirty-throttle A15:across.res.inotify-epoll A28:across.net.arp-raw A29:across.net.discovery
A31:across.proc.signal A27:across.engine.start-starve A30:across.mem.dedup I12:in.engine.telltales
`
  .trim()
  .split(/\s+/)
  .map((word) => {
    const [id = '', slug = ''] = word.split(':')
    return { id, slug }
  })
