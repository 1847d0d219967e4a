package main

import (
	"context"
	"fmt"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
)

// tries is how often something is fetched until it is given up: mirrors,
// registries and the proxies before them have bad moments.
const tries = 3

// pause is how long the first try is followed by the second; the third waits
// twice as long.
const pause = 5 * time.Second

// again calls f until it succeeds, tries times at most.
func again(ctx context.Context, c clock.Clock, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if err == nil || n == tries || ctx.Err() != nil {
			return err
		}
		wait := time.Duration(n) * pause
		fmt.Printf("deps: %v\ndeps: trying again in %v\n", err, wait)
		if clock.Sleep(ctx, c, wait) != nil {
			return err
		}
	}
}
