package storage

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// fileSystems are the names of the magic numbers of statfs. What is not among them has its number as its name.
var fileSystems = map[uint32]string{
	unix.EXT4_SUPER_MAGIC:      "ext4", // and ext2 and ext3, which the same driver serves
	unix.XFS_SUPER_MAGIC:       "xfs",
	unix.BTRFS_SUPER_MAGIC:     "btrfs",
	unix.F2FS_SUPER_MAGIC:      "f2fs",
	unix.BCACHEFS_SUPER_MAGIC:  "bcachefs",
	0x2fc12fc1:                 "zfs", // OpenZFS, include/os/linux/zfs/sys/zfs_vfsops_os.h
	unix.OVERLAYFS_SUPER_MAGIC: "overlay",
	unix.FUSE_SUPER_MAGIC:      "fuse",
	unix.NFS_SUPER_MAGIC:       "nfs",
	unix.V9FS_MAGIC:            "9p",
	unix.TMPFS_MAGIC:           "tmpfs",
	unix.RAMFS_MAGIC:           "ramfs",
}

// fileSystem names the file system of dir, "" if it cannot be asked.
func fileSystem(dir string) string {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return ""
	}
	magic := uint32(fs.Type) // it is signed on some platforms
	if name, known := fileSystems[magic]; known {
		return name
	}
	return fmt.Sprintf("%#x", magic)
}
