package board

import (
	"maps"
	"testing"

	"github.com/openvideobox/videobox/internal/metrics"
)

func TestTemperature(t *testing.T) {
	const zone = "sys/class/thermal/thermal_zone0/temp"
	for _, e := range []expected{
		{"cool", map[string]string{zone: "48686\n"}, metrics.OK, "49 °C"},
		{"the hottest counts", map[string]string{zone: "40000", "sys/class/thermal/thermal_zone1/temp": "76000"}, metrics.Degraded, "76 °C: hot; from 80 on"},
		{"too hot", map[string]string{zone: "85000\n"}, metrics.Failed, "too hot, the processor is slowed down"},
		{"frost", map[string]string{zone: "-4000\n"}, metrics.OK, "-4 °C"},
		{"hwmon only", map[string]string{"sys/class/hwmon/hwmon2/temp1_input": "91000"}, metrics.Failed, "91 °C"},
		{"no sensor", nil, metrics.NotApplicable, "shows no temperature"},
		{"garbage", map[string]string{zone: garbage}, metrics.Unknown, "is expected"},
		{"empty", map[string]string{zone: ""}, metrics.Unknown, "is empty"},
		{"out of this world", map[string]string{zone: "2147483647"}, metrics.Unknown, "-100000 to 250000"},
		{"more than 64 bits", map[string]string{zone: "99999999999999999999"}, metrics.Unknown, "is expected"},
		{"a folder", map[string]string{zone + "/": ""}, metrics.Unknown, "is a directory"},
		{"one of two is garbage", map[string]string{zone: garbage, "sys/class/thermal/thermal_zone1/temp": "50000"}, metrics.OK, "50 °C"},
	} {
		files := map[string]string{"sys/firmware/devicetree/base/model": "Raspberry Pi 4 Model B Rev 1.4\x00"}
		maps.Copy(files, e.files)
		e.check(t, tree(t, files).Temperature(metrics.OK))
	}
}

// pc is a small PC as Linux 6.1 shows one: a zone of its firmware that always
// says the same, an NVMe disk that is hotter than the processor, and the
// processor's own sensors.
func pc(zone, driver string, temps map[string]string) map[string]string {
	files := map[string]string{
		"sys/class/thermal/thermal_zone0/type": "acpitz\n",
		"sys/class/thermal/thermal_zone0/temp": zone,
		"sys/class/hwmon/hwmon0/name":          "acpitz\n",
		"sys/class/hwmon/hwmon0/temp1_input":   zone,
		"sys/class/hwmon/hwmon0/temp1_crit":    "119000\n",
		"sys/class/hwmon/hwmon1/name":          "nvme\n",
		"sys/class/hwmon/hwmon1/temp1_input":   "108000\n",
		"sys/class/hwmon/hwmon1/temp1_crit":    "84850\n",
		"sys/class/hwmon/hwmon2/name":          driver + "\n",
		"sys/firmware/acpi/tables/DSDT":        "DSDT",
		"sys/firmware/efi/fw_platform_size":    "64\n",
		"sys/class/hwmon/hwmon2/temp1_max":     "105000\n",
	}
	for name, text := range temps {
		files["sys/class/hwmon/hwmon2/"+name] = text
	}
	return files
}

func TestTemperatureOfPCs(t *testing.T) {
	n100 := func(temp string) map[string]string { // Tjmax 105 °C
		return pc("27800\n", "coretemp", map[string]string{"temp1_label": "Package id 0\n", "temp1_input": temp, "temp1_crit": "105000\n", "temp1_crit_alarm": "0\n"})
	}
	for _, e := range []expected{
		{"N100, cool", n100("61000\n"), metrics.OK, "61 °C"},
		{"N100 at a Pi's limit", n100("84000\n"), metrics.OK, "84 °C"},
		{"N100, hot", n100("85000\n"), metrics.Degraded, "85 °C: hot; from 105 on it is slowed down"},
		{"N100, too hot", n100("95000\n"), metrics.Failed, "95 °C: too hot, from 105 on the processor is slowed down"},
		{"N100, slowed down", n100("105000\n"), metrics.Failed, "105 °C: too hot, the processor is slowed down"},
		{"the core nearest to its limit", pc("27800", "coretemp", map[string]string{
			"temp1_input": "80000", "temp1_crit": "105000", "temp2_input": "79000", "temp2_crit": "90000"}), metrics.Degraded, "79 °C: hot; from 90 on"},
		{"AMD tells no limit", pc("16800\n", "k10temp", map[string]string{"temp1_label": "Tctl\n", "temp1_input": "89125\n"}), metrics.OK, "89 °C"},
		{"AMD, hot", pc("16800\n", "k10temp", map[string]string{"temp1_input": "90000\n"}), metrics.Degraded, "90 °C: hot; from 100 on"},
		{"AMD, too hot", pc("16800\n", "k10temp", map[string]string{"temp1_input": "100000\n"}), metrics.Failed, "too hot, the processor is slowed down"},
		{"a limit that can't be", pc("27800", "coretemp", map[string]string{"temp1_input": "85000", "temp1_crit": "0\n"}), metrics.OK, "85 °C"},
		{"a limit of garbage", pc("27800", "coretemp", map[string]string{"temp1_input": "91000", "temp1_crit": garbage}), metrics.Degraded, "91 °C"},
		{"the processor's is garbage", pc("27800", "coretemp", map[string]string{"temp1_input": garbage}), metrics.Unknown, "is expected"},
		{"only the firmware's zone", pc("88000\n", "nct6775", map[string]string{"temp1_input": "127000"}), metrics.OK, "88 °C"},
		{"only the firmware's zone, hot", pc("91000\n", "nct6775", nil), metrics.Degraded, "91 °C: hot; from 100 on"},
		{"a virtual machine", nil, metrics.NotApplicable, "shows no temperature"},
	} {
		e.check(t, tree(t, e.files).Temperature(metrics.OK))
	}
}

// A board with a device tree is judged by its zones, as ever, if some driver
// shows its processor in hwmon too.
func TestTemperatureOfADeviceTree(t *testing.T) {
	for _, at := range []string{"proc/device-tree/model", "sys/firmware/devicetree/base/model"} {
		files := pc("86000\n", "cpu_thermal", map[string]string{"temp1_input": "86000\n", "temp1_crit": "110000\n"})
		files[at] = "Raspberry Pi 5 Model B Rev 1.0\x00"
		expected{at, nil, metrics.Failed, "86 °C: too hot"}.check(t, tree(t, files).Temperature(metrics.OK))
	}
}

// Near a limit the state stays as it is, else it would change every second.
func TestTemperatureNearALimit(t *testing.T) {
	n100 := limits{85, 95, 105}
	for _, c := range []struct {
		limits
		t            float64
		before, want metrics.State
	}{
		{piLimits, 74, metrics.OK, metrics.OK}, {piLimits, 75, metrics.OK, metrics.Degraded}, {piLimits, 73, metrics.Degraded, metrics.Degraded},
		{piLimits, 71, metrics.Degraded, metrics.OK}, {piLimits, 84, metrics.Degraded, metrics.Degraded}, {piLimits, 85, metrics.Degraded, metrics.Failed},
		{piLimits, 83, metrics.Failed, metrics.Failed}, {piLimits, 81, metrics.Failed, metrics.Degraded}, {piLimits, 60, metrics.Failed, metrics.OK},
		{piLimits, 74, metrics.Starting, metrics.OK}, {piLimits, 74, metrics.NotApplicable, metrics.OK},
		{n100, 84, metrics.OK, metrics.OK}, {n100, 83, metrics.Degraded, metrics.Degraded}, {n100, 81, metrics.Degraded, metrics.OK},
		{n100, 94, metrics.Degraded, metrics.Degraded}, {n100, 93, metrics.Failed, metrics.Failed}, {n100, 91, metrics.Failed, metrics.Degraded},
	} {
		if f := c.judge(c.t, c.before); f.State != c.want {
			t.Errorf("%.0f °C after %s: %s, want %s", c.t, c.before, f.State, c.want)
		}
	}
}
