//go:build vm

package vm_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/metrics"
)

// fault is something that is wrong with a box: exactly one leaf turns red, with
// the cause, within ten seconds, and is green again once the fault is over.
type fault struct {
	name       string
	do, undo   func(t *testing.T, v victim)
	leaf, says string
	// follows are leaves that say that they follow from it, with their state;
	// they may take longer.
	follows map[string]metrics.State
}

func byStick(command string) func(*testing.T, victim) {
	return func(_ *testing.T, v victim) { v.stick.Command(command) }
}

func bySaboteur(command string) func(*testing.T, victim) {
	return func(t *testing.T, v victim) { t.Helper(); v.sabotage(t, command) }
}

var faults = []fault{
	{"unplugged", byStick("unplug"), byStick("plug"), "device", "no device", map[string]metrics.State{"signal": metrics.Unknown}},
	{"no signal", byStick("nosignal"), byStick("signal"), "signal", "no signal", nil},
	{"frozen picture", byStick("freeze"), byStick("thaw"), "signal", "stood still", nil},
	{"disk full", bySaboteur("fill /perm 100"), bySaboteur("fill /perm"), "disk space", "full", map[string]metrics.State{"recorder growing": metrics.Degraded}},
}

// states are the tree's. A machine without KVM leaves frames out now and then,
// which encoder and recorder say for a while, the recorder for a minute: yellow
// and green are the same there.
func states(s metrics.Status) map[string]metrics.State {
	m := map[string]metrics.State{}
	for _, l := range s.Health {
		m[l.Name] = l.State
		if l.State == metrics.Degraded && (l.Name == "encoder" || l.Name == "recorder growing") {
			m[l.Name] = metrics.OK
		}
	}
	return m
}

// show is the tree for a log.
func show(s metrics.Status) string {
	var b strings.Builder
	for _, l := range s.Health {
		fmt.Fprintf(&b, "    %-17s%-16s%6.1f s  %s %s\n", l.Name, l.State, s.Now.Sub(l.Since).Seconds(), l.Cause, l.Value)
	}
	m, _ := s.Detail.(map[string]any)
	fmt.Fprintf(&b, "    healing: %v", m["healing"])
	return b.String()
}

// red lists the leaves that are.
func red(s metrics.Status) (list []string) {
	for _, l := range s.Health {
		if l.State == metrics.Failed {
			list = append(list, l.Name)
		}
	}
	return list
}

// told says whether the leaves that follow from the fault say so.
func (f fault) told(s metrics.Status) bool {
	for name, state := range f.follows {
		if leafOf(s, name).State != state {
			return false
		}
	}
	return true
}

// strike makes the fault and undoes it.
func (f fault) strike(t *testing.T, v victim) {
	base := v.wait(within(t, 20*time.Second), t, f.name+": not yet", isWell)
	was := red(base) // the clock, in a machine that no time server reaches
	var said []string
	alone := func(s metrics.Status) {
		t.Helper()
		r := slices.DeleteFunc(red(s), func(name string) bool { return name == f.leaf || slices.Contains(was, name) })
		if len(r) > 0 && !slices.Equal(r, said) {
			said = r // once is enough
			t.Errorf("%s: red is %v, want %s only\n%s", f.name, r, f.leaf, show(s))
		}
	}
	// Waited for longer than is allowed, so that a failure tells how long it took.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	began := time.Now()
	f.do(t, v)
	s := v.wait(ctx, t, fmt.Sprintf("%s: %s is red", f.name, f.leaf), func(s metrics.Status) bool {
		alone(s)
		return leafOf(s, f.leaf).State == metrics.Failed
	})
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("%s: red after %.1f s, want 10 at most", f.name, took.Seconds())
	}
	if l := leafOf(s, f.leaf); !strings.Contains(l.Cause, f.says) {
		t.Errorf("%s: the cause is %q, want %q", f.name, l.Cause, f.says)
	}
	want := states(base)
	want[f.leaf] = metrics.Failed
	for name, state := range f.follows {
		if state != metrics.Degraded { // which states takes for green
			want[name] = state
		}
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s = v.wait(ctx, t, f.name+": the others are as they were or say that they follow", func(s metrics.Status) bool {
		alone(s)
		return maps.Equal(states(s), want) && f.told(s)
	})
	t.Logf("%s: %s", f.name, leafOf(s, f.leaf).Cause)
	f.undo(t, v)
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	v.wait(ctx, t, f.name+": green again", func(s metrics.Status) bool {
		alone(s)
		return maps.Equal(states(s), states(base))
	})
}

func TestShortHealth(t *testing.T) {
	v := bootVictim(t, nil)
	for _, f := range faults {
		t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) { f.strike(t, v) })
	}
}
