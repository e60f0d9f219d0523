/*
 * fs.c: the filesystems that we do not trust with a lock.
 */
#include "base/fs.h"

#include <stddef.h>
#include <stdint.h>

bool
fha_fs_is_network(long f_type)
{
	static const uint32_t magics[] = {
		0x00006969, /* NFS */
		0x0000517B, /* SMB */
		0xFF534D42, /* CIFS */
		0xFE534D42, /* SMB2 */
		0x5346414F, /* AFS (OpenAFS) */
		0x6B414653, /* AFS (kernel) */
		0x73757245, /* Coda */
		0x00C36400, /* Ceph */
		0x0BD00BD0, /* Lustre */
		0x47504653, /* GPFS */
		0x01161970, /* GFS2 */
		0x7461636F, /* OCFS2 */
		0x19830326, /* BeeGFS */
		0x0000564C, /* NCP */
		0x65735546, /* FUSE: GlusterFS, sshfs, s3fs, virtiofs, ... */
		0x01021997, /* 9p */
		0x20030528, /* OrangeFS */
		0x786F4256, /* VirtualBox's shared folders */
		0xBACBACBC, /* VMware's shared folders */
		0x7C7C6673, /* Parallels' shared folders */
	};

	/* f_type is signed and its width differs between machines: compare 32 bits. */
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if ((uint32_t) f_type == magics[i])
			return true;
	return false;
}
