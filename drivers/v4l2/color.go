package v4l2

import "github.com/openvideobox/videobox/internal/media"

// V4L2's numbers, include/uapi/linux/videodev2.h: v4l2_colorspace,
// v4l2_ycbcr_encoding and v4l2_quantization.
const (
	colorspaceDefault = 0
	colorspaceRec709  = 3
	colorspaceJPEG    = 7

	encodingDefault = 0
	encoding709     = 2
	encodingXV709   = 4

	quantizationDefault = 0
	quantizationFull    = 1
)

// colorOf is how a driver says its uncompressed samples map to light. What it
// leaves open is what videodev2.h's V4L2_MAP_YCBCR_ENC_DEFAULT and
// V4L2_MAP_QUANTIZATION_DEFAULT make of it; where even the colorspace is open,
// pictures of 720 rows and more are high definition, BT.709.
func colorOf(colorspace, encoding, quantization uint32, height int) (c media.Color) {
	c.Matrix = media.BT601
	switch {
	case encoding == encoding709, encoding == encodingXV709,
		encoding == encodingDefault && colorspace == colorspaceRec709,
		encoding == encodingDefault && colorspace == colorspaceDefault && height >= 720:
		c.Matrix = media.BT709
	}
	c.Full = quantization == quantizationFull || quantization == quantizationDefault && colorspace == colorspaceJPEG
	return c
}
