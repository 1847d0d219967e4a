package board

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/openvideobox/videobox/internal/metrics"
)

const lowVoltage = "under-voltage: use the board's own power supply and a short cable"

// Voltage says whether the supply is high enough. Only a Raspberry Pi measures
// it: its firmware's under-voltage flag is in0_lcrit_alarm of hwmon's rpi_volt
// (drivers/hwmon/raspberrypi-hwmon.c), and older kernels show all of its flags
// as get_throttled.
func (b Board) Voltage() metrics.Finding {
	for _, name := range b.glob("sys/class/hwmon/hwmon*/name") {
		if text, err := attribute(name); err == nil && text == "rpi_volt" {
			return alarm(filepath.Join(filepath.Dir(name), "in0_lcrit_alarm"))
		}
	}
	flags, err := attribute(b.path("sys/devices/platform/soc/soc:firmware/get_throttled"))
	switch {
	case err == nil:
		return throttled(flags)
	case !missing(err):
		return unknown(err)
	case b.isPi():
		return metrics.Finding{State: metrics.Unknown, Cause: "unknown: the kernel shows no voltage sensor (rpi_volt) on this Raspberry Pi"}
	}
	return notApplicable("this board does not measure its supply")
}

func (b Board) isPi() bool {
	model, err := attribute(b.path("proc/device-tree/model"))
	return err == nil && strings.HasPrefix(model, "Raspberry Pi")
}

func alarm(path string) metrics.Finding {
	low, err := number(path, 0, 1)
	if err != nil {
		return unknown(err)
	}
	return judgeVoltage(low == 1, false)
}

// throttled reads the firmware's flags, in hexadecimal: bit 0 is under-voltage
// now, bit 16 that there was one since the start (raspberrypi.com, vcgencmd
// get_throttled).
func throttled(text string) metrics.Finding {
	flags, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 32)
	if err != nil {
		return metrics.Finding{State: metrics.Unknown, Cause: "unknown: get_throttled says " + strconv.Quote(clip(text)) + ", a hexadecimal number is expected"}
	}
	return judgeVoltage(flags&1 != 0, flags&(1<<16) != 0)
}

func judgeVoltage(low, was bool) metrics.Finding {
	switch {
	case low:
		return metrics.Finding{State: metrics.Failed, Cause: lowVoltage}
	case was:
		return metrics.Finding{State: metrics.OK, Value: "enough now; it was too low for a moment since the start"}
	}
	return metrics.Finding{State: metrics.OK, Value: "enough"}
}

// clip keeps garbage from filling a page.
func clip(text string) string { return text[:min(len(text), 40)] }
