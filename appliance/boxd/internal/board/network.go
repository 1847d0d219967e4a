package board

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/metrics"
)

// fast is the slowest link, in Mbit/s, that is no bottleneck: a box sends some
// readers 5 to 20 Mbit/s each.
const fast = 100

// card is a network card, as /sys/class/net shows it
// (Documentation/ABI/testing/sysfs-class-net).
type card struct {
	name     string
	wireless bool
	link     bool
	speed    int64  // Mbit/s; 0 where the driver doesn't say
	duplex   string // full, half, unknown; "" where the driver doesn't say
	err      error
}

// Network judges the best link of the machine's own network cards.
func (b Board) Network() metrics.Finding {
	var best *card
	for _, dir := range b.glob("sys/class/net/*/device") {
		c := readCard(filepath.Dir(dir))
		if best == nil || c.rank() > best.rank() {
			best = &c
		}
	}
	if best == nil && b.IsBox() {
		return metrics.Finding{State: metrics.Failed, Cause: "this box has no network card any more: is it a USB one that came loose?"}
	}
	if best == nil {
		return notApplicable("this host has no network card of its own")
	}
	return best.judge()
}

func readCard(dir string) card {
	c := card{name: filepath.Base(dir)}
	for _, sign := range []string{"wireless", "phy80211"} {
		if _, err := os.Stat(filepath.Join(dir, sign)); err == nil {
			c.wireless = true
		}
	}
	carrier, err := number(filepath.Join(dir, "carrier"), 0, 1)
	if errors.Is(err, unix.EINVAL) { // what the kernel answers for a card that is switched off
		return c
	}
	c.link, c.err = carrier == 1, err
	if speed, err := number(filepath.Join(dir, "speed"), 1, 1_000_000); err == nil {
		c.speed = speed
	}
	c.duplex, _ = attribute(filepath.Join(dir, "duplex"))
	return c
}

// rank orders cards by how much is to be hoped from them.
func (c card) rank() int64 {
	switch {
	case c.err != nil:
		return 0
	case !c.link && c.wireless:
		return 1
	case !c.link:
		return 2
	case c.wireless:
		return 3
	}
	return 4 + c.speed
}

func (c card) judge() metrics.Finding {
	switch {
	case c.err != nil:
		return unknown(c.err)
	case !c.link:
		return metrics.Finding{State: metrics.Failed, Cause: "no link on " + c.name + ": check the network cable at both ends"}
	case c.wireless:
		return metrics.Finding{State: metrics.Degraded, Cause: "only by radio (" + c.name + "): plug in a network cable"}
	case c.speed == 0:
		return metrics.Finding{State: metrics.OK, Value: c.name + ": link; its driver does not say how fast"}
	}
	text := fmt.Sprintf("%s: %d Mbit/s, %s duplex", c.name, c.speed, c.duplex)
	if c.speed < fast || c.duplex != "full" {
		return metrics.Finding{State: metrics.Degraded, Value: text, Cause: fmt.Sprintf("%s; %d Mbit/s full duplex is the least: change cable or switch port", text, fast)}
	}
	return metrics.Finding{State: metrics.OK, Value: text}
}
