package clock

import (
	"context"
	"time"
)

// InSync says whether System can be believed. On a box the kernel is asked
// (adjtimex(2)), because boxd alone disciplines its clock; on any other host
// nothing is set and the system's clock counts as in sync.
func InSync(box bool) bool { return !box || kernelInSync() }

// Sleep waits for d by c, or returns the context's error.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	return Wait(ctx, c, c.Now()+int64(d))
}
