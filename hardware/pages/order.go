package main

import "github.com/openvideobox/videobox/hardware"

// order says which wire takes the first lane from the left, which the next, so
// that few wires cross: neighbours change places as long as that helps.
func order(wires []hardware.Wire) []int {
	at := make([]int, len(wires))
	for i := range at {
		at[i] = i
	}
	for better := true; better; {
		better = false
		for i := range len(at) - 1 {
			a, b := at[i], at[i+1]
			if crossings(wires, b, a) < crossings(wires, a, b) {
				at[i], at[i+1], better = b, a, true
			}
		}
	}
	return at
}

// crossings counts how often wire a, in a lane left of wire b's, crosses it:
// b's stretch from the header crosses a's lane, a's stretch to the panel b's.
func crossings(wires []hardware.Wire, a, b int) (n int) {
	if between(leaves(wires[b]), leaves(wires[a]), panelY(a)) {
		n++
	}
	if between(panelY(a), leaves(wires[b]), panelY(b)) {
		n++
	}
	return n
}

// leaves is the height at which a wire leaves the header.
func leaves(w hardware.Wire) float64 {
	_, y := headerAt(w.Header)
	if w.Header%2 == 1 {
		y += pitch / 2
	}
	return y
}

func between(y, a, b float64) bool { return y > min(a, b) && y < max(a, b) }
