package labs

// Nearest returns the candidate that a person most likely meant by word, or ""
// when none is close: at most one letter and a third of all may differ, counted as
// edits (Damerau-Levenshtein, optimal string alignment).
func Nearest(word string, candidates []string) string {
	best, bestAt := "", len([]rune(word))/3+1
	for _, c := range candidates {
		if d := Distance(word, c); d > 0 && d <= bestAt && (best == "" || d < bestAt) {
			best, bestAt = c, d
		}
	}
	return best
}

// Distance counts the edits between two words: insert, delete, replace a
// letter, or swap two neighbours.
func Distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	rows := make([][]int, len(s)+1)
	for i := range rows {
		rows[i] = make([]int, len(t)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(s); i++ {
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(s)][len(t)]
}
