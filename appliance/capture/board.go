package main

import (
	"cmp"
	"log/slog"
	"os"
	"runtime"
	"strings"

	"github.com/openvideobox/videobox/hardware"
)

// Where the kernel says what board this is: where there is a device tree, and on PCs.
var (
	deviceTree  = "/proc/device-tree/model"
	productName = "/sys/class/dmi/id/product_name"
)

// forBoard fills in what wasn't said of the encoder from the board's profile. A
// PC's counts only on a box, which has the machine to itself.
func (c *runCommand) forBoard() {
	board, known := hardware.BoardNamed(model(deviceTree))
	if name := model(productName); !known && name != "" && c.Clock {
		if board, known = hardware.BoardNamed(name); !known {
			board, known = hardware.BoardNamed(hardware.AnyPC)
		}
	}
	preset, threads := board.EncoderPreset(runtime.NumCPU()), board.EncoderThreads(runtime.NumCPU())
	if c.Preset == "" && c.Threads == 0 && known {
		slog.Info("encoder as of the board's profile", "board", board.Model, "preset", preset, "threads", threads)
	}
	c.Preset = cmp.Or(c.Preset, preset, "superfast")
	c.Threads = cmp.Or(c.Threads, threads)
}

// model is what a file says; "" if there is none.
func model(file string) string {
	data, _ := os.ReadFile(file)
	return strings.TrimRight(string(data), "\x00\n")
}
