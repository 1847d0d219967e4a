//go:build !linux

package fb

import "errors"

func open(string) (device, error) { return nil, errors.New("only Linux has framebuffers") }
