"""What a fill cost a moment later.

Markouts by horizon and by what fills can be sorted by, which flow was toxic, and the bench on which fills are looked at.

`markouts`            the mid after a fill, with intervals
`buckets`             what fills are sorted by
`pictures`            curves and maps
`toxicity`            fills by what the market did before them
`workbench`           fills as points, a chosen part counted up
`workbench_pictures`  its pictures
"""
