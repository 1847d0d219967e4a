// Command init is a first program of a box that is none, for tests of updates:
// it starts nothing. It crashes at once, which the kernel doesn't survive, or,
// if /perm/sabotage.init says hang, stays where it is. It is in no image but one
// that tests build for themselves (images/build image --with images/vm/saboteur/init).
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if says("hang") {
		fmt.Println("sabotaged init: hangs")
		for {
			time.Sleep(time.Hour)
		}
	}
	panic("sabotaged init: crashes")
}

// says looks at what the old root's saboteur has left. The root is as init finds
// it: empty folders.
func says(word string) bool {
	err := errors.Join(
		unix.Mount("devtmpfs", "/dev", "devtmpfs", 0, ""),
		unix.Mount("/dev/vda4", "/perm", "ext4", 0, ""), // as the old init did: the kernel takes no two ways
	)
	order, rerr := os.ReadFile("/perm/sabotage.init")
	if rerr != nil {
		fmt.Println("sabotaged init:", rerr, err)
	}
	return strings.TrimSpace(string(order)) == word
}
