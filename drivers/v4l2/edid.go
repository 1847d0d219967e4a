package v4l2

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
)

const edidBlock = 128

// tellEDID gives the input the EDID it should have and reads it back. It says
// what is wrong then, for people; that is no reason not to capture. An input
// that has the right one is left alone, since writing makes the other end look
// again, and so is one that didn't take it the last time, or refused it since it
// was opened.
func (s *Source) tellEDID(in Input) (warning string) {
	want := s.cfg.EDID
	if len(want) == 0 {
		return ""
	}
	has, err := in.EDID()
	if errors.Is(err, syscall.ENOTTY) {
		return "" // the driver knows of none
	}
	if err == nil && s.edidWritten && bytes.Equal(has, s.edidTaken) {
		return EDIDMismatch(want, has)
	}
	if err == nil && EDIDMismatch(want, has) == "" {
		return ""
	}
	if s.edidRefused != "" {
		return s.edidRefused
	}
	if err := in.SetEDID(want); err != nil {
		warning = "the HDMI input doesn't take our EDID: " + refusal(err, len(want)/edidBlock)
		if !errors.Is(err, syscall.EBUSY) { // which passes
			s.edidRefused = warning
		}
		return warning
	}
	if has, err = in.EDID(); err != nil {
		s.edidRefused = fmt.Sprintf("the HDMI input's EDID can't be read back: %v", err)
		return s.edidRefused
	}
	s.edidWritten, s.edidTaken = true, has
	return EDIDMismatch(want, has)
}

// refusal explains an errno of VIDIOC_S_EDID.
func refusal(err error, blocks int) string {
	switch {
	case errors.Is(err, syscall.E2BIG):
		return fmt.Sprintf("%d blocks are too many for it", blocks)
	case errors.Is(err, syscall.EBUSY):
		return "another program captures from it"
	case errors.Is(err, syscall.ENOTTY), errors.Is(err, syscall.EINVAL):
		return fmt.Sprintf("it can't be written (%v)", err)
	}
	return err.Error()
}

// EDIDMismatch says in which way an EDID isn't the one that was written; empty: in
// none. The CEC address is the driver's to choose, and vivid puts its own there.
func EDIDMismatch(want, has []byte) string {
	const begin = "the HDMI input's EDID isn't the one that was written: "
	if len(has) == 0 {
		return begin + "it has none"
	}
	if len(want) != len(has) {
		return fmt.Sprintf("%sit has %d bytes instead of %d", begin, len(has), len(want))
	}
	want, has = withoutCEC(want), withoutCEC(has)
	first, n := 0, 0
	for i := range want {
		if want[i] != has[i] {
			if n++; n == 1 {
				first = i
			}
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%sbyte %#02x of block %d is %#02x instead of %#02x, and %d more differ",
		begin, first%edidBlock, first/edidBlock, has[first], want[first], n-1)
}

// withoutCEC is a copy with the CEC address of HDMI's vendor block, HDMI 1.4
// section 8.3.2, set to 0, and with it the sum of its block.
func withoutCEC(edid []byte) []byte {
	edid = bytes.Clone(edid)
	for at := edidBlock; at+edidBlock <= len(edid); at += edidBlock {
		b := edid[at:][:edidBlock]
		if b[0] != 0x02 { // CTA-861
			continue
		}
		for i := 4; i < int(b[2]) && i+6 < edidBlock; i += 1 + int(b[i]&0x1f) {
			if b[i]>>5 == 3 && b[i]&0x1f >= 5 && b[i+1] == 0x03 && b[i+2] == 0x0c && b[i+3] == 0x00 {
				b[edidBlock-1] += b[i+4] + b[i+5]
				b[i+4], b[i+5] = 0, 0
			}
		}
	}
	return edid
}
