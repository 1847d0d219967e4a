package picture

import (
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
)

// fontName is one of the embedded Go fonts (BSD licence, golang.org/x/image).
type fontName int

const (
	regular fontName = iota
	bold
	mono
	monoBold
)

var fonts = sync.OnceValue(func() [4]*opentype.Font {
	var all [4]*opentype.Font
	for i, ttf := range [4][]byte{goregular.TTF, gobold.TTF, gomono.TTF, gomonobold.TTF} {
		f, err := opentype.Parse(ttf)
		if err != nil {
			panic(err) // the fonts are part of the program
		}
		all[i] = f
	}
	return all
})

// face is a font at a size in pixels. Faces are not for concurrent use, so each
// drawing makes its own.
func face(name fontName, px float64) font.Face {
	f, err := opentype.NewFace(fonts()[name], &opentype.FaceOptions{Size: max(px, 1), DPI: 72, Hinting: font.HintingVertical})
	if err != nil {
		panic(err) // only a font that lacks tables fails
	}
	return f
}
