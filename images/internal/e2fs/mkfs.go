// Package e2fs finds the program that makes file systems for /perm.
package e2fs

import "os/exec"

// Mkfs is mkfs.ext4, in PATH or where Debian's e2fsprogs puts it, which is in no
// ordinary user's PATH.
func Mkfs() string {
	if path, err := exec.LookPath("mkfs.ext4"); err == nil {
		return path
	}
	return "/sbin/mkfs.ext4"
}
