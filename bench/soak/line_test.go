package soak

// line is a straight line through points, by least squares.
type line struct{ n, x, y, xx, xy float64 }

func (l *line) add(x, y float64) {
	l.n++
	l.x += x
	l.y += y
	l.xx += x * x
	l.xy += x * y
}

// slope is how much y grows with x; 0 if there is no telling.
func (l *line) slope() float64 {
	if d := l.n*l.xx - l.x*l.x; d > 0 {
		return (l.n*l.xy - l.x*l.y) / d
	}
	return 0
}
