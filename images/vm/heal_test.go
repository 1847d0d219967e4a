//go:build vm

package vm_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/metrics"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// pid is boxd's.
func (v victim) pid(t *testing.T) int {
	t.Helper()
	return v.wait(within(t, 20*time.Second), t, "boxd answers", func(metrics.Status) bool { return true }).Process.PID
}

// healing is boxd's last step.
func healing(s metrics.Status) (step string) {
	m, _ := s.Detail.(map[string]any)
	h, _ := m["healing"].(map[string]any)
	step, _ = h["step"].(string)
	return step
}

// onlyRed passes over the clock: no time server reaches this machine.
func onlyRed(s metrics.Status, leaf string) bool {
	return slices.Equal(slices.DeleteFunc(red(s), func(name string) bool { return name == "clock" }), []string{leaf})
}

// TestDrillStopped stops programs, so that they are there and do nothing. The
// box gets them back without a restart.
func TestDrillStopped(t *testing.T) {
	v := bootVictim(t, nil)
	t.Run("boxd", func(t *testing.T) {
		before := v.pid(t)
		v.sabotage(t, "stop boxd")
		v.wait(within(t, time.Minute), t, "stopped: guard has killed it and another one answers", func(s metrics.Status) bool { return s.Process.PID != before })
		v.wait(within(t, time.Minute), t, "all is well", isWell)
	})
	t.Run("capture", func(t *testing.T) {
		v.sabotage(t, "stop capture")
		v.wait(within(t, 20*time.Second), t, "stopped: the stream is red", func(s metrics.Status) bool {
			return leafOf(s, "stream growing").State == metrics.Failed
		})
		s := v.wait(within(t, time.Minute), t, "another one sends the stream", func(s metrics.Status) bool {
			return leafOf(s, "stream growing").State == metrics.OK
		})
		if step := healing(s); step != "capture" {
			t.Errorf("what helped was %q, want the kill of capture", step)
		}
		v.wait(within(t, time.Minute), t, "all is well", isWell)
	})
	t.Run("worker", func(t *testing.T) {
		v.sabotage(t, "stop worker")
		v.wait(within(t, 20*time.Second), t, "stopped: capture has noticed", func(s metrics.Status) bool {
			return leafOf(s, "encoder").State != metrics.OK
		})
		v.wait(within(t, time.Minute), t, "all is well", isWell)
	})
	t.Run("record", func(t *testing.T) {
		v.sabotage(t, "stop record")
		v.wait(within(t, 20*time.Second), t, "stopped: the recorder is red, it alone", func(s metrics.Status) bool {
			return onlyRed(s, "recorder growing")
		})
		v.sabotage(t, "cont record")
		v.wait(within(t, time.Minute), t, "continued: it grows", func(s metrics.Status) bool {
			return leafOf(s, "recorder growing").State == metrics.OK
		})
	})
	if n := v.Restarts(); n != 0 {
		t.Errorf("the box has restarted %d times", n)
	}
}

// TestDrillHungStick: a device that answers nothing until it is reset.
func TestDrillHungStick(t *testing.T) {
	v := bootVictim(t, nil)
	v.stick.Command("hang")
	v.wait(within(t, 30*time.Second), t, "hung: the device is red, it alone", func(s metrics.Status) bool { return onlyRed(s, "device") })
	v.wait(within(t, 2*time.Minute), t, "all is well by itself", isWell)
	if st := v.stick.Status(); st.Hung || v.Restarts() != 0 {
		t.Errorf("stick %+v, %d restarts of the box", st, v.Restarts())
	}
}

// TestDrillCrashingBoxd kills boxd whenever it appears: guard restarts the box,
// which helps, since the saboteur forgets. When it goes on afterwards, the box
// is not restarted again: the last one is less than half an hour ago.
func TestDrillCrashingBoxd(t *testing.T) {
	v := bootVictim(t, nil)
	v.sabotage(t, "hunt boxd")
	began := time.Now()
	if err := v.WaitRestarts(within(t, 4*time.Minute), 1); err != nil {
		t.Fatal(err)
	}
	t.Logf("boxd crashes at every start: the box restarts after %.0f s", time.Since(began).Seconds())
	v.wait(within(t, 2*time.Minute), t, "the box is back by itself", isWell)
	v.sabotage(t, "hunt boxd")
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
	defer cancel()
	if err := v.WaitRestarts(ctx, 2); err == nil {
		t.Error("the box restarts again and again")
	}
	v.sabotage(t, "hunt")
	v.wait(within(t, time.Minute), t, "boxd is left alone and well", isWell)
}

// TestDrillHungKernel crashes the kernel: it restarts itself, or, when it
// doesn't, the hardware's watchdog does.
func TestDrillHungKernel(t *testing.T) {
	v := bootVictim(t, func(c *vm.Config) { c.Watchdog = true })
	for i, c := range []struct {
		name, panics string
		limit        time.Duration
	}{
		{"panic, which restarts", "10", time.Minute},
		{"a kernel that stays where it is: the watchdog", "0", 2 * time.Minute},
	} {
		v.sabotage(t, "write /proc/sys/kernel/panic "+c.panics)
		began := time.Now()
		v.sabotage(t, "write /proc/sysrq-trigger c")
		if err := v.WaitRestarts(within(t, c.limit), i+1); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		t.Logf("%s: restarts after %.0f s", c.name, time.Since(began).Seconds())
		v.wait(within(t, 2*time.Minute), t, "the box is back by itself", isWell)
	}
	if last := v.Console.Last(200); !strings.Contains(last, "watchdog") {
		t.Logf("the console says nothing of a watchdog")
	}
}
