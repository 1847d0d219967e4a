package h264

import (
	"errors"
	"fmt"
	"math/bits"

	mch264 "github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// ErrNotIDR is returned where an access unit has no IDR slice.
var ErrNotIDR = errors.New("h264: no IDR slice in the access unit")

// MaxIDRPicID is the largest idr_pic_id (7.4.3).
const MaxIDRPicID = 65535

// pps is the part of a picture parameter set (7.3.2.2) that slice headers
// depend on.
type pps struct {
	id, sps      uint32
	cabac        bool
	orderPresent bool // bottom_field_pic_order_in_frame_present_flag
	deblocking   bool // deblocking_filter_control_present_flag
	redundant    bool // redundant_pic_cnt_present_flag
}

func parsePPS(nal []byte) (pps, error) {
	r := bitReader{b: appendUnescaped(nil, nal[1:])}
	var p pps
	p.id, p.sps = r.ue(), r.ue()
	p.cabac = r.flag()
	p.orderPresent = r.flag()
	if groups := r.ue(); r.err == nil && groups != 0 {
		return p, fmt.Errorf("h264: PPS with %d slice groups (FMO), want 1", groups+1)
	}
	r.ue() // num_ref_idx_l0_default_active_minus1
	r.ue() // num_ref_idx_l1_default_active_minus1
	r.u(3) // weighted_pred_flag, weighted_bipred_idc
	r.se() // pic_init_qp_minus26
	r.se() // pic_init_qs_minus26
	r.se() // chroma_qp_index_offset
	p.deblocking = r.flag()
	r.flag() // constrained_intra_pred_flag
	p.redundant = r.flag()
	if r.err != nil {
		return p, fmt.Errorf("h264: broken PPS: %w", r.err)
	}
	return p, nil
}

// idrSlice is where idr_pic_id stands in a slice's RBSP, in bits.
type idrSlice struct {
	id       uint32
	from, to int // of its code
	end      int // of the slice header
	cabac    bool
}

// parseIDRSlice reads the header (7.3.3) of an IDR slice; au holds its
// parameter sets. What P, B and SP slices have is left out: an IDR picture has
// I and SI slices only (7.4.1.2.4).
func parseIDRSlice(rbsp, au []byte) (s idrSlice, err error) {
	r := bitReader{b: rbsp}
	r.ue() // first_mb_in_slice
	kind := r.ue() % 5
	id := r.ue()
	if r.err != nil {
		return s, fmt.Errorf("h264: broken slice header: %w", r.err)
	}
	if kind != 2 && kind != 4 {
		return s, fmt.Errorf("h264: IDR slice of type %d, want 2 (I) or 4 (SI)", kind)
	}
	p, err := findPPS(au, id)
	if err != nil {
		return s, err
	}
	q, err := findSPS(au, p.sps)
	if err != nil {
		return s, err
	}
	r.readIDRHeader(&s, p, q, kind == 4)
	if r.err != nil {
		return s, fmt.Errorf("h264: broken slice header: %w", r.err)
	}
	return s, nil
}

// readIDRHeader reads what follows pic_parameter_set_id in the slice header.
func (r *bitReader) readIDRHeader(s *idrSlice, p pps, q *mch264.SPS, switching bool) {
	if q.SeparateColourPlaneFlag {
		r.u(2) // colour_plane_id
	}
	r.u(int(q.Log2MaxFrameNumMinus4) + 4) // frame_num
	field := !q.FrameMbsOnlyFlag && r.flag()
	if field {
		r.flag() // bottom_field_flag
	}
	s.from = r.pos
	s.id = r.ue()
	s.to = r.pos
	bottom := p.orderPresent && !field
	switch {
	case q.PicOrderCntType == 0:
		r.u(int(q.Log2MaxPicOrderCntLsbMinus4) + 4)
		if bottom {
			r.se() // delta_pic_order_cnt_bottom
		}
	case q.PicOrderCntType == 1 && !q.DeltaPicOrderAlwaysZeroFlag:
		r.se() // delta_pic_order_cnt[0]
		if bottom {
			r.se() // delta_pic_order_cnt[1]
		}
	}
	if p.redundant {
		r.ue() // redundant_pic_cnt
	}
	r.u(2) // no_output_of_prior_pics_flag, long_term_reference_flag
	r.se() // slice_qp_delta
	if switching {
		r.se() // slice_qs_delta
	}
	if p.deblocking && r.ue() != 1 {
		r.se() // slice_alpha_c0_offset_div2
		r.se() // slice_beta_offset_div2
	}
	s.end, s.cabac = r.pos, p.cabac
}

func findPPS(au []byte, id uint32) (pps, error) {
	var nal []byte
	for b := open(au); b != nil && !isVCL(b); b = open(au) {
		nal, au = cut(b)
		if nalType(nal) != typePPS {
			continue
		}
		p, err := parsePPS(nal)
		if err == nil && p.id != id {
			continue
		}
		return p, err
	}
	return pps{}, fmt.Errorf("h264: PPS %d is not in the access unit", id)
}

func findSPS(au []byte, id uint32) (*mch264.SPS, error) {
	var nal []byte
	for b := open(au); b != nil && !isVCL(b); b = open(au) {
		nal, au = cut(b)
		if nalType(nal) != typeSPS {
			continue
		}
		q, err := unmarshalSPS(nal)
		if err == nil && q.ID != id {
			continue
		}
		return q, err
	}
	return nil, fmt.Errorf("h264: SPS %d is not in the access unit", id)
}

// IDRPicID is idr_pic_id of the first slice of an IDR access unit, which holds
// its parameter sets.
func IDRPicID(au []byte) (uint32, error) {
	rest := au
	for b := open(rest); b != nil; b = open(rest) {
		if nalType(b) == typeIDR {
			// A header is far shorter, whatever its codes.
			s, err := parseIDRSlice(appendUnescaped(nil, b[1:min(len(b), 128)]), au)
			return s.id, err
		}
		_, rest = cut(b)
	}
	return 0, ErrNotIDR
}

// SetIDRPicID appends an IDR access unit, which holds its parameter sets, to
// dst with another idr_pic_id in each of its slices. Two IDR pictures that
// follow each other must differ in it (7.4.3), which encoders started anew
// don't do by themselves. What is decoded stays the same, bit for bit: the new
// code may have another length, so that in a CABAC slice the header is aligned
// anew and its data follow as they were, and in a CAVLC slice all bits move.
func SetIDRPicID(dst, au []byte, id uint32) ([]byte, error) {
	if id > MaxIDRPicID {
		return dst, fmt.Errorf("h264: idr_pic_id %d, want at most %d", id, MaxIDRPicID)
	}
	start, found := len(dst), false
	var nal []byte
	rest := au
	for b := open(rest); b != nil; b = open(rest) {
		nal, rest = cut(b)
		if nalType(nal) != typeIDR {
			dst = Append(dst, nal)
			continue
		}
		found = true
		rbsp := appendUnescaped(nil, nal[1:])
		s, err := parseIDRSlice(rbsp, au)
		if err == nil && s.end >= lastOne(rbsp) {
			err = errors.New("h264: IDR slice without data")
		}
		if err != nil {
			return dst[:start], err
		}
		dst = append(dst, 0, 0, 0, 1, nal[0])
		dst = appendEscaped(dst, s.rewrite(rbsp, id), 0)
		if dst[len(dst)-1] == 0 {
			dst = append(dst, 3) // behind cabac_zero_words (7.4.1)
		}
	}
	if !found {
		return dst[:start], ErrNotIDR
	}
	return dst, nil
}

// rewrite is the RBSP of the slice with another idr_pic_id.
func (s idrSlice) rewrite(rbsp []byte, id uint32) []byte {
	w := bitWriter{b: make([]byte, 0, len(rbsp)+8)}
	w.copyBits(rbsp, 0, s.from)
	w.ue(id)
	w.copyBits(rbsp, s.to, s.end)
	if s.cabac {
		w.align(1) // cabac_alignment_one_bit
		return append(w.b, rbsp[(s.end+7)/8:]...)
	}
	w.copyBits(rbsp, s.end, len(rbsp)*8)
	w.align(0)
	return trimZeros(w.b)
}

// lastOne is the position of the last bit that is set, which is
// rbsp_stop_one_bit; -1 if none is.
func lastOne(b []byte) int {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0 {
			return i*8 + 7 - bits.TrailingZeros8(b[i])
		}
	}
	return -1
}
