package perm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// e2fsck's exit code, a sum: see its manual.
const (
	fsckCorrected = 1
	fsckRestart   = 2 // of use for a root file system only
)

// unmountTries with unmountPause between them: programs that were ended come
// back after a second.
const (
	unmountTries = 20
	unmountPause = 100 * time.Millisecond
)

// repair runs e2fsck on a file system that its journal doesn't make whole: it
// has met errors, or can't be mounted. First only what is safe to repair by
// itself, then everything.
func (p *preparer) repair(ctx context.Context, mounted bool, args ...string) Result {
	if mounted {
		p.say("the file system on the card has errors and needs a repair")
		if err := p.letGo(ctx); err != nil {
			return missing(err)
		}
	} else {
		p.say("the file system on the card can't be mounted and needs a repair")
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	for _, how := range []string{"-p", "-y", "-y"} {
		code, said, err := p.check(ctx, p.say, append([]string{"-f", how}, args...)...)
		if err != nil {
			return missing(errors.Join(fmt.Errorf("repairing the card: %w", err), p.mount(true)))
		}
		p.say(fmt.Sprintf("e2fsck %s ended with %d: %s", how, code, lastLines(said, 3)))
		if code&^(fsckCorrected|fsckRestart) == 0 {
			break
		}
	}
	if err := p.mount(false); err != nil {
		return missing(fmt.Errorf("the card could not be repaired: %w", err))
	}
	return Result{State: Repaired, Text: "repaired, as it had errors"}
}

// letGo unmounts what init has mounted. If somebody holds on to it, it becomes
// read-only: writing to a damaged file system damages more.
func (p *preparer) letGo(ctx context.Context) (err error) {
	pause := time.NewTicker(unmountPause)
	defer pause.Stop()
	for range unmountTries {
		if err = p.unmount(); err == nil {
			return nil
		}
		if ended := p.release(); len(ended) > 0 {
			p.say("ended for the repair: " + strings.Join(ended, ", "))
			continue
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.Join(fmt.Errorf("the card has errors and is in use, so it is read-only now; restart the box: %w", err), p.mount(true))
}

// showProgress reads what e2fsck -C writes, `pass done all device` a line, and
// says it in steps of ten percent.
func showProgress(r io.Reader, say func(string)) {
	said := ""
	for sc := bufio.NewScanner(r); sc.Scan(); {
		var pass, done, all int
		if n, _ := fmt.Sscan(sc.Text(), &pass, &done, &all); n < 3 || all <= 0 {
			continue
		}
		text := fmt.Sprintf("repairing, step %d of 5, %d %%", pass, done*10/all*10)
		if text != said {
			said = text
			say(text)
		}
	}
	_, _ = io.Copy(io.Discard, r)
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
