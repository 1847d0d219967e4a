package board

import (
	"fmt"

	"github.com/openvideobox/videobox/internal/metrics"
)

// In degrees Celsius. A Raspberry Pi slows its CPU down from 80 on and more at
// 85 (raspberrypi.com, config.txt, temp_limit); hot is before it does.
const (
	hot     = 75
	tooHot  = 85
	cooling = 3 // below a limit before it counts as passed
)

// Temperature finds the hottest sensor, in thermal zones and, where there are
// none, in hwmon; both are in thousandths of a degree
// (Documentation/driver-api/thermal/sysfs-api.rst, hwmon/sysfs-interface.rst).
// Before is the state that it found last: near a limit it stays.
func (b Board) Temperature(before metrics.State) metrics.Finding {
	files := b.glob("sys/class/thermal/thermal_zone*/temp")
	if len(files) == 0 {
		files = b.glob("sys/class/hwmon/hwmon*/temp*_input")
	}
	if len(files) == 0 {
		return notApplicable("this board shows no temperature")
	}
	var failed error
	hottest, found := int64(0), false
	for _, file := range files {
		t, err := number(file, -100_000, 250_000)
		if err != nil {
			failed = err
			continue
		}
		if !found || t > hottest {
			hottest, found = t, true
		}
	}
	if !found {
		return unknown(failed)
	}
	return judgeTemperature(float64(hottest)/1000, before)
}

func judgeTemperature(t float64, before metrics.State) metrics.Finding {
	limit := func(at float64, state metrics.State) bool {
		if !state.Worse(before) {
			at -= cooling
		}
		return t >= at
	}
	f := metrics.Finding{State: metrics.OK, Value: fmt.Sprintf("%.0f °C", t)}
	switch {
	case limit(tooHot, metrics.Failed):
		f.State, f.Cause = metrics.Failed, fmt.Sprintf("%.0f °C: too hot, the processor is slowed down; is the fan turning, is the air free?", t)
	case limit(hot, metrics.Degraded):
		f.State, f.Cause = metrics.Degraded, fmt.Sprintf("%.0f °C: hot; from %d on it is slowed down", t, tooHot-5)
	}
	return f
}
