package board

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/metrics"
)

// tree is a made-up machine: files by name. A value that begins with -> is a
// symbolic link.
func tree(t *testing.T, files map[string]string) Board {
	t.Helper()
	b := Board{t.TempDir()}
	for name, text := range files {
		path := b.path(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		case strings.HasPrefix(text, "->"):
			err = os.Symlink(text[2:], path)
		default:
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return b
}

type expected struct {
	name  string
	files map[string]string
	state metrics.State
	says  string // in cause or value
}

func (e expected) check(t *testing.T, f metrics.Finding) {
	t.Helper()
	if f.State != e.state || !strings.Contains(f.Cause+" "+f.Value, e.says) {
		t.Errorf("%s: %+v, want %s with %q", e.name, f, e.state, e.says)
	}
	if (f.State == metrics.OK) != (f.Cause == "") {
		t.Errorf("%s: %s with cause %q", e.name, f.State, f.Cause)
	}
}

const garbage = "\x00\xff\xfe not a number, and long: " +
	"0123456789012345678901234567890123456789012345678901234567890123456789"

func TestVoltage(t *testing.T) {
	volt := func(alarm string) map[string]string {
		return map[string]string{
			"sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
			"sys/class/hwmon/hwmon1/name": "rpi_volt\n", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": alarm,
		}
	}
	flags := func(text string) map[string]string {
		return map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": text}
	}
	for _, e := range []expected{
		{"enough", volt("0\n"), metrics.OK, "enough"},
		{"low", volt("1\n"), metrics.Failed, "under-voltage"},
		{"alarm of garbage", volt(garbage), metrics.Unknown, "is expected"},
		{"alarm of 7", volt("7"), metrics.Unknown, "from 0 to 1"},
		{"sensor without alarm", map[string]string{"sys/class/hwmon/hwmon1/name": "rpi_volt"}, metrics.Unknown, "in0_lcrit_alarm"},
		{"flags: none", flags("0\n"), metrics.OK, "enough"},
		{"flags: low", flags("50005\n"), metrics.Failed, "under-voltage"},
		{"flags: was low", flags("0x50000"), metrics.OK, "too low for a moment"},
		{"flags: hot, not low", flags("8"), metrics.OK, "enough"},
		{"flags of garbage", flags(garbage), metrics.Unknown, "hexadecimal"},
		{"a Pi without sensor", map[string]string{"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\x00"}, metrics.Unknown, "rpi_volt"},
		{"another board", map[string]string{"sys/class/hwmon/hwmon0/name": "coretemp"}, metrics.NotApplicable, "does not measure"},
	} {
		e.check(t, tree(t, e.files).Voltage())
	}
}

func TestNetwork(t *testing.T) {
	net := func(name, carrier, speed, duplex string) map[string]string {
		dir := "sys/class/net/" + name + "/"
		return map[string]string{dir + "device/": "", dir + "carrier": carrier, dir + "speed": speed, dir + "duplex": duplex}
	}
	with := func(all ...map[string]string) map[string]string {
		sum := map[string]string{"sys/class/net/lo/carrier": "1"}
		for _, m := range all {
			for k, v := range m {
				sum[k] = v
			}
		}
		return sum
	}
	box := map[string]string{"proc/1/exe": "->/gokrazy/init"}
	for _, e := range []expected{
		{"gigabit", with(net("eth0", "1\n", "1000\n", "full\n")), metrics.OK, "eth0: 1000 Mbit/s, full duplex"},
		{"just enough", with(net("eth0", "1", "100", "full")), metrics.OK, "100 Mbit/s"},
		{"slow", with(net("eth0", "1", "10", "full")), metrics.Degraded, "10 Mbit/s, full duplex; 100 Mbit/s full duplex is the least"},
		{"half duplex", with(net("eth0", "1", "100", "half")), metrics.Degraded, "half duplex"},
		{"no cable", with(net("eth0", "0", "-1", "unknown")), metrics.Failed, "no link on eth0"},
		{"a virtual card", with(net("eth0", "1", "-1", "unknown")), metrics.OK, "does not say how fast"},
		{"garbage for speed", with(net("eth0", "1", garbage, garbage)), metrics.OK, "does not say how fast"},
		{"garbage for duplex", with(net("eth0", "1", "100", "round")), metrics.Degraded, "round duplex"},
		{"garbage for carrier", with(net("eth0", garbage, "100", "full")), metrics.Unknown, "is expected"},
		{"the better of two", with(net("eth0", "0", "", ""), net("usb0", "1", "1000", "full")), metrics.OK, "usb0"},
		{"radio only", with(net("eth0", "0", "", ""), net("wlan0", "1", "", ""), map[string]string{"sys/class/net/wlan0/phy80211/": ""}), metrics.Degraded, "only by radio (wlan0)"},
		{"radio too", with(net("eth0", "1", "100", "full"), net("wlan0", "1", "", ""), map[string]string{"sys/class/net/wlan0/wireless/": ""}), metrics.OK, "eth0"},
		{"a cable is asked for, not radio", with(net("eth0", "0", "", ""), net("wlan0", "0", "", ""), map[string]string{"sys/class/net/wlan0/wireless/": ""}), metrics.Failed, "eth0"},
		{"only virtual ones, not a box", with(map[string]string{"sys/class/net/docker0/carrier": "1"}), metrics.NotApplicable, "no network card"},
		{"none, on a box", with(box), metrics.Failed, "no network card any more"},
	} {
		e.check(t, tree(t, e.files).Network())
	}
	if b := tree(t, box); !b.IsBox() || tree(t, map[string]string{"proc/1/exe": "->/sbin/init"}).IsBox() || tree(t, nil).IsBox() {
		t.Error("a box is not told from other hosts")
	}
}

func TestDisk(t *testing.T) {
	const mb, gb = 1_000_000, 1_000_000_000
	rec := Recording{Keep: 500 * mb, Rate: 500_000} // 1.8 GB an hour
	for _, c := range []struct {
		name  string
		space Space
		err   error
		state metrics.State
		says  string
	}{
		{"plenty", Space{100 * gb, 120 * gb}, nil, metrics.OK, "100 GB free of 120 GB, enough for 55.3 hours"},
		{"less than a day", Space{20 * gb, 120 * gb}, nil, metrics.Degraded, "nearly full"},
		{"a fifth of much", Space{100 * gb, 1000 * gb}, nil, metrics.OK, ""},
		{"a twentieth", Space{40 * gb, 1000 * gb}, nil, metrics.Degraded, "nearly full"},
		{"at the limit", Space{500 * mb, 120 * gb}, nil, metrics.Failed, "recording stops at 500.0 MB"},
		{"nothing", Space{0, 120 * gb}, nil, metrics.Failed, "full: 0 kB free"},
		{"cannot tell", Space{}, unix.EIO, metrics.Unknown, "input/output error"},
		{"no blocks", Space{}, nil, metrics.Unknown, "no blocks"},
	} {
		expected{name: c.name, state: c.state, says: c.says}.check(t, Disk(c.space, c.err, rec))
	}
	if f := Disk(Space{100 * gb, 120 * gb}, nil, Recording{}); f.State != metrics.OK || strings.Contains(f.Value, "hours") {
		t.Errorf("without a rate: %+v", f)
	}
}

func TestSpaceOfTheNearestFolder(t *testing.T) {
	dir := t.TempDir()
	s, err := SpaceOf(filepath.Join(dir, "not", "yet"))
	if err != nil || s.Total == 0 || s.Free > s.Total {
		t.Errorf("%+v, %v", s, err)
	}
	_, err = spaceOf("/a/b", func(string, *unix.Statfs_t) error { return unix.ENOENT })
	if err == nil {
		t.Error("no folder at all is no error")
	}
	if _, err := spaceOf("/a/b", func(string, *unix.Statfs_t) error { return unix.EIO }); err == nil || !strings.Contains(err.Error(), "/a/b") {
		t.Errorf("%v", err)
	}
}
