package h264

import (
	"fmt"

	mch264 "github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// Matrix coefficients of table E-5 that programs here tell apart.
const (
	MatrixBT709       = 1
	MatrixUnspecified = 2
	MatrixBT470BG     = 5 // BT.601, 625 lines
	MatrixSMPTE170M   = 6 // BT.601, 525 lines
)

// maxDimension is the largest width and height at level 6.2 (A.3.1).
const maxDimension = 16880

// SPS is what a sequence parameter set says about its pictures.
type SPS struct {
	Profile     byte // profile_idc: 66 Baseline, 77 Main, 100 High
	Constraints byte // constraint_set0_flag in bit 7, and so on
	Level       byte // level_idc: 31 is level 3.1

	Width, Height    int // after cropping
	RateNum, RateDen int // frames a second is RateNum/RateDen; 0 and 0 if unknown
	Interlaced       bool
	Chroma           int // chroma_format_idc: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4
	BitDepth         int // of luma

	Matrix    byte // matrix_coefficients of table E-5
	FullRange bool
	// Reorder is max_num_reorder_frames: how many pictures precede one in
	// decoding and follow it in output. -1 if the stream doesn't say.
	Reorder int
}

// ParseSPS reads a sequence parameter set NAL unit.
func ParseSPS(nal []byte) (SPS, error) {
	m, err := unmarshalSPS(nal)
	if err != nil {
		return SPS{}, err
	}
	s := SPS{
		Profile: nal[1], Constraints: nal[2], Level: nal[3],
		Width: m.Width(), Height: m.Height(),
		Interlaced: !m.FrameMbsOnlyFlag,
		Chroma:     int(m.ChromaFormatIdc),
		BitDepth:   int(m.BitDepthLumaMinus8) + 8,
		Matrix:     MatrixUnspecified,
		Reorder:    -1,
	}
	if s.Width <= 0 || s.Height <= 0 || s.Width > maxDimension || s.Height > maxDimension {
		return SPS{}, fmt.Errorf("h264: SPS with pictures of %dx%d, want 1x1 to %dx%d", s.Width, s.Height, maxDimension, maxDimension)
	}
	s.readVUI(m.VUI)
	if m.PicOrderCntType == 2 {
		s.Reorder = 0 // output order is decoding order (8.2.1.3)
	}
	return s, nil
}

func (s *SPS) readVUI(v *mch264.SPS_VUI) {
	if v == nil {
		return
	}
	if v.ColourDescriptionPresentFlag {
		s.Matrix = v.MatrixCoefficients
	}
	s.FullRange = v.VideoSignalTypePresentFlag && v.VideoFullRangeFlag
	if t := v.TimingInfo; t != nil && t.NumUnitsInTick > 0 && t.TimeScale > 0 {
		// A tick is a field (E.2.1).
		num, den := uint64(t.TimeScale), 2*uint64(t.NumUnitsInTick)
		d := gcd(num, den)
		s.RateNum, s.RateDen = int(num/d), int(den/d)
	}
	if v.BitstreamRestriction != nil {
		s.Reorder = int(min(v.BitstreamRestriction.MaxNumReorderFrames, 16))
	}
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func unmarshalSPS(nal []byte) (*mch264.SPS, error) {
	if nalType(nal) != typeSPS || len(nal) < 4 {
		return nil, fmt.Errorf("h264: not an SPS: NAL unit of type %d with %d bytes", nalType(nal), len(nal))
	}
	var m mch264.SPS
	if err := m.Unmarshal(nal); err != nil {
		return nil, fmt.Errorf("h264: broken SPS: %w", err)
	}
	// 7.4.2.1.1; what reads slice headers relies on these.
	if m.ChromaFormatIdc > 3 || m.Log2MaxFrameNumMinus4 > 12 || m.Log2MaxPicOrderCntLsbMinus4 > 12 {
		return nil, fmt.Errorf("h264: broken SPS: chroma_format_idc %d, log2_max_frame_num_minus4 %d, log2_max_pic_order_cnt_lsb_minus4 %d out of range",
			m.ChromaFormatIdc, m.Log2MaxFrameNumMinus4, m.Log2MaxPicOrderCntLsbMinus4)
	}
	return &m, nil
}
