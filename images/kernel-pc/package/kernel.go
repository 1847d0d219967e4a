// Package kernel is the kernel of PC boxes, for gokrazy: vmlinuz and lib/modules
// are put beside this file by make kernel-pc.
package kernel
