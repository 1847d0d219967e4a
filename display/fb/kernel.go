package fb

// From the kernel's include/uapi/linux/fb.h and kd.h.
const (
	getVariable = 0x4600 // FBIOGET_VSCREENINFO
	getFixed    = 0x4602 // FBIOGET_FSCREENINFO
	blank       = 0x4611 // FBIOBLANK
	unblank     = 0      // FB_BLANK_UNBLANK

	setMode      = 0x4b3a // KDSETMODE
	getMode      = 0x4b3b // KDGETMODE
	modeText     = 0      // KD_TEXT
	modeGraphics = 1      // KD_GRAPHICS

	packedPixels = 0 // FB_TYPE_PACKED_PIXELS
	trueColor    = 2 // FB_VISUAL_TRUECOLOR
	directColor  = 4 // FB_VISUAL_DIRECTCOLOR
)

// bitfield is struct fb_bitfield: where in a pixel a colour lies.
type bitfield struct {
	Offset   uint32 // from the lowest bit
	Length   uint32
	MSBRight uint32
}

// variable is struct fb_var_screeninfo.
type variable struct {
	XRes, YRes               uint32
	XResVirtual, YResVirtual uint32
	XOffset, YOffset         uint32 // of what is seen in what there is
	BitsPerPixel             uint32
	Grayscale                uint32
	Red, Green, Blue, Transp bitfield
	Nonstd                   uint32
	Activate                 uint32
	Height, Width            uint32 // mm
	AccelFlags               uint32
	Timing                   [8]uint32
	Vmode, Rotate            uint32
	Colorspace               uint32
	Reserved                 [4]uint32
}

// fixed is struct fb_fix_screeninfo. uintptr is C's unsigned long.
type fixed struct {
	ID         [16]byte
	SMemStart  uintptr
	SMemLen    uint32
	Type       uint32
	TypeAux    uint32
	Visual     uint32
	XPanStep   uint16
	YPanStep   uint16
	YWrapStep  uint16
	LineLength uint32 // bytes from row to row
	MMIOStart  uintptr
	MMIOLen    uint32
	Accel      uint32
	Caps       uint16
	Reserved   [2]uint16
}
