package runtest

import (
	"fmt"
	"sync/atomic"
	"testing"
)

func TestEventuallyWaits(t *testing.T) {
	var n atomic.Int32
	log := &Log{}
	go func() {
		for range 5 {
			fmt.Fprintln(log, "more")
			n.Add(1)
		}
	}()
	Eventually(t, "five", func() bool { return n.Load() == 5 && len(log.String()) == 25 })
}
