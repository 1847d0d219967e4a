package board

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/openvideobox/videobox/internal/metrics"
)

// limits of a sensor, in degrees Celsius.
type limits struct {
	hot, tooHot float64
	slowed      float64 // from here on the processor slows itself down
}

var (
	// A Raspberry Pi slows its CPU down from 80 on and more at 85
	// (raspberrypi.com, config.txt, temp_limit); hot is before it does.
	piLimits = limits{hot: 75, tooHot: 85, slowed: 80}
	// A PC's processor whose sensor tells no limit: most slow down at 100.
	pcLimits = limits{hot: 90, tooHot: 100, slowed: 100}
)

// cooling is how far below a limit before it counts as passed.
const cooling = 3

// processors are hwmon's drivers for the processor itself: Intel's, AMD's, and
// those of boards with a device tree (Documentation/hwmon/coretemp.rst,
// k10temp.rst).
var processors = []string{"coretemp", "k10temp", "cpu_thermal"}

// sensor is a file with thousandths of a degree, and what they are judged by.
type sensor struct {
	file string
	limits
}

// Temperature finds the sensor that is nearest to its limit
// (Documentation/driver-api/thermal/sysfs-api.rst, hwmon/sysfs-interface.rst).
// Before is the state that it found last: near a limit it stays.
func (b Board) Temperature(before metrics.State) metrics.Finding {
	sensors := b.sensors()
	if len(sensors) == 0 {
		return notApplicable("this board shows no temperature")
	}
	var failed error
	var worst limits
	hottest, found := 0.0, false
	for _, s := range sensors {
		n, err := number(s.file, -100_000, 250_000)
		if err != nil {
			failed = err
			continue
		}
		if t := float64(n) / 1000; !found || t-s.tooHot > hottest-worst.tooHot {
			hottest, worst, found = t, s.limits, true
		}
	}
	if !found {
		return unknown(failed)
	}
	return worst.judge(hottest, before)
}

// sensors are the processor's where it has a driver, on a PC; else the thermal
// zones, else all of hwmon. A PC's zones come from its firmware (acpitz) and may
// always say the same.
func (b Board) sensors() (list []sensor) {
	fallback := pcLimits
	if b.hasDeviceTree() {
		fallback = piLimits
	} else if list = b.processorSensors(); len(list) > 0 {
		return list
	}
	files := b.glob("sys/class/thermal/thermal_zone*/temp")
	if len(files) == 0 {
		files = b.glob("sys/class/hwmon/hwmon*/temp*_input")
	}
	for _, file := range files {
		list = append(list, sensor{file, fallback})
	}
	return list
}

// hasDeviceTree tells boards such as the Raspberry Pi from PCs, which have ACPI.
func (b Board) hasDeviceTree() bool {
	return len(b.glob("sys/firmware/devicetree/base")) > 0 || len(b.glob("proc/device-tree")) > 0
}

// processorSensors are the processor's own, with the limits that they tell.
func (b Board) processorSensors() (list []sensor) {
	for _, driver := range processors {
		for _, name := range b.glob("sys/class/hwmon/hwmon*/name") {
			if text, err := attribute(name); err != nil || text != driver {
				continue
			}
			files, _ := filepath.Glob(filepath.Join(filepath.Dir(name), "temp*_input")) // as glob
			for _, file := range files {
				list = append(list, sensor{file, limitsBeside(file)})
			}
		}
	}
	return list
}

// limitsBeside reads temp*_crit: of an Intel processor the temperature at which
// it slows down (TjMax), 105 °C of an N100. One that can't be is not believed.
func limitsBeside(input string) limits {
	n, err := number(strings.TrimSuffix(input, "_input")+"_crit", 60_000, 150_000)
	if err != nil {
		return pcLimits
	}
	crit := float64(n) / 1000
	return limits{hot: crit - 20, tooHot: crit - 10, slowed: crit}
}

func (l limits) judge(t float64, before metrics.State) metrics.Finding {
	reached := func(at float64, state metrics.State) bool {
		if !state.Worse(before) {
			at -= cooling
		}
		return t >= at
	}
	f := metrics.Finding{State: metrics.OK, Value: fmt.Sprintf("%.0f °C", t)}
	switch {
	case reached(l.tooHot, metrics.Failed):
		f.State, f.Cause = metrics.Failed, fmt.Sprintf("%.0f °C: too hot, %s; is the fan turning, is the air free?", t, l.slowing(t))
	case reached(l.hot, metrics.Degraded):
		f.State, f.Cause = metrics.Degraded, fmt.Sprintf("%.0f °C: hot; from %.0f on it is slowed down", t, l.slowed)
	}
	return f
}

// slowing says whether it is slow already.
func (l limits) slowing(t float64) string {
	if t >= l.slowed {
		return "the processor is slowed down"
	}
	return fmt.Sprintf("from %.0f on the processor is slowed down", l.slowed)
}
