package tft

import "time"

// Chip is a display controller.
type Chip string

// The controllers that are known. Both have a memory of 240x320 pixels, of
// which a panel may show a part.
const (
	ST7789  Chip = "st7789"  // Sitronix ST7789V, datasheet V1.3
	ILI9341 Chip = "ili9341" // Ilitek ILI9341, datasheet V1.11
)

const memoryWidth, memoryHeight = 240, 320

// Commands that both have, with the ILI9341 datasheet's page and the ST7789V
// datasheet's section.
const (
	softwareReset = 0x01 // p. 90; 9.1.2
	sleepIn       = 0x10 // p. 100; 9.1.11
	sleepOut      = 0x11 // p. 101; 9.1.12
	normalMode    = 0x13 // p. 104; 9.1.14
	inversionOff  = 0x20 // p. 105; 9.1.15
	inversionOn   = 0x21 // p. 106; 9.1.16
	displayOff    = 0x28 // p. 108; 9.1.18
	displayOn     = 0x29 // p. 109; 9.1.19
	columnAddress = 0x2a // p. 110; 9.1.20
	rowAddress    = 0x2b // p. 112; 9.1.21
	memoryWrite   = 0x2c // p. 114; 9.1.22
	memoryAccess  = 0x36 // p. 127; 9.1.28
	pixelFormat   = 0x3a // p. 134; 9.1.32
)

// Bits of memoryAccess.
const (
	rowOrder    = 0x80 // MY
	columnOrder = 0x40 // MX
	exchange    = 0x20 // MV: rows and columns
	bgr         = 0x08
)

// format565 is 16 bits a pixel, for the RGB and for the SPI interface.
const format565 = 0x55

// step is a command with its parameters and the wait after it.
type step struct {
	command byte
	data    []byte
	wait    time.Duration
}

// start is what follows a reset: 120 ms until sleep may be left after a reset
// in sleep-out mode, and 120 ms from there to the next sleep command; 5 ms
// suffice for the supply voltages (both datasheets at 01h and 11h).
func (c Config) start() []step {
	steps := []step{
		{softwareReset, nil, 120 * time.Millisecond},
		{sleepOut, nil, 120 * time.Millisecond},
	}
	steps = append(steps, tuning[c.Chip]...)
	inversion := byte(inversionOff)
	if c.Invert {
		inversion = inversionOn
	}
	return append(steps,
		step{pixelFormat, []byte{format565}, 0},
		step{memoryAccess, []byte{c.access()}, 0},
		step{inversion, nil, 0},
		step{normalMode, nil, 10 * time.Millisecond},
	)
}

// tuning is what a controller needs besides. The ST7789V's values after a reset
// fit the panels it is sold on. The ILI9341 gets the voltages that makers of its
// panels commonly give; both keep the gamma curve they have after a reset.
var tuning = map[Chip][]step{
	ST7789: nil,
	ILI9341: {
		{0xc0, []byte{0x23}, 0},       // power control 1: GVDD 4.60 V, p. 178
		{0xc1, []byte{0x10}, 0},       // power control 2: step-up factors, p. 179
		{0xc5, []byte{0x3e, 0x28}, 0}, // VCOM control 1: 4.25 V, -1.5 V, p. 180
		{0xc7, []byte{0x86}, 0},       // VCOM control 2: offset -58, p. 182
		{0xb1, []byte{0x00, 0x18}, 0}, // frame rate 79 Hz, p. 155
	},
}

// access is the memory access register for the panel's rotation: in which order
// the memory is filled. The ILI9341's columns run the other way round.
func (c Config) access() byte {
	v := map[int]byte{0: 0, 90: columnOrder | exchange, 180: columnOrder | rowOrder, 270: rowOrder | exchange}[c.Rotate]
	if c.Chip == ILI9341 {
		v ^= columnOrder
	}
	if c.BGR {
		v |= bgr
	}
	return v
}

// origin is where in the controller's memory the picture begins, by the axes of
// the picture. On a mirrored axis the other border counts.
func (c Config) origin() (x, y int) {
	x, y = c.Left, c.Top
	v := c.access()
	if c.Chip == ILI9341 {
		v ^= columnOrder // mirrored when it isn't set
	}
	if v&columnOrder != 0 {
		x = memoryWidth - c.Width - c.Left
	}
	if v&rowOrder != 0 {
		y = memoryHeight - c.Height - c.Top
	}
	if v&exchange != 0 {
		x, y = y, x
	}
	return x, y
}
