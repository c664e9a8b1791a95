//% macro place(lanes, wx, wz, texels)
//%   if lanes == "pixels"
    // Workgroups of the same pixels follow each other: they read the same input and write the same lines.
    let tile = (group.y + group.z * groups.y) * {{ wx }}u + local.x;
    let n = (group.x * {{ wz }}u + local.z) * {{ texels }}u;
//%   else
    let tile = id.z + id.y * groups.z * {{ wz }}u;
    let n = id.x * {{ texels }}u;
//%   endif
//% endmacro

//% macro columns(texels)
//%   for q in range(texels)
    let n{{ q }} = min(n + {{ q }}u, width - 1u);
//%   endfor
//% endmacro

// Sums that begin with the bias. A quad's lanes hold a column's four sums in the order 0 … 3 xor the lane.
//% macro accumulators(pixels, texels, broadcast=0)
//%   if broadcast == 4
    let lane = local.x & 3u;
//%   endif
//%   for q in range(texels)
//%     if broadcast == 4
    let b{{ q }}_0 = element_bias(n{{ q }} * 4u + lane);
    let b{{ q }} = vec4<f32>(b{{ q }}_0, quadSwapX(b{{ q }}_0), quadSwapY(b{{ q }}_0), quadSwapDiagonal(b{{ q }}_0));
//%     else
    let b{{ q }} = load_bias(n{{ q }});
//%     endif
//%   endfor
//%   for p in range(pixels)
//%     for q in range(texels)
    var acc{{ p }}_{{ q }} = b{{ q }};
//%     endfor
//%   endfor
//% endmacro

// Puts the sums of quads in the order of their channels.
//% macro settle(pixels, texels, broadcast)
//%   if broadcast == 4
    let odd = vec4<bool>((lane & 1u) != 0u);
    let upper = vec4<bool>((lane & 2u) != 0u);
//%     for p in range(pixels)
//%       for q in range(texels)
    acc{{ p }}_{{ q }} = select(acc{{ p }}_{{ q }}, acc{{ p }}_{{ q }}.yxwz, odd);
    acc{{ p }}_{{ q }} = select(acc{{ p }}_{{ q }}, acc{{ p }}_{{ q }}.zwxy, upper);
//%       endfor
//%     endfor
//%   endif
//% endmacro

// Where the weights of this invocation's columns begin, and how many blocks lie between two of its rows: columns lie
// in groups of `params.group` (the last may be smaller), each group row by row, `rows` rows of blocks.
//% macro weight_columns(texels, broadcast, rows)
    let column = min(n, width - 1u);
    let first = column / params.group * params.group;
    let span = min(params.group, width - first);
    let block0 = first * {{ rows }};
//%   if broadcast == 4
//%     for q in range(texels)
    let column{{ q }} = (block0 + min(column - first + {{ q }}u, span - 1u)) * 4u + lane;
//%     endfor
//%   elif broadcast and texels % broadcast == 0
//%     for j in range(texels // broadcast)
    let column{{ j }} = block0 + min(column - first + {{ j * broadcast }}u + local.x % {{ broadcast }}u, span - 1u);
//%     endfor
//%   elif broadcast
    let lane = (column - first) * 2u + local.x % {{ broadcast }}u;
//%     for j in range((texels * 2 + broadcast - 1) // broadcast)
    let pair{{ j }} = block0 * 2u + min(lane + {{ j * broadcast }}u, span * 2u - 1u);
//%     endfor
//%   else
//%     for q in range(texels)
    let column{{ q }} = block0 + min(column - first + {{ q }}u, span - 1u);
//%     endfor
//%   endif
//% endmacro

// The blocks w0 … of one row of weights. With `broadcast`, the lanes of a subgroup share the columns: each loads
// another block, or half of one where there are fewer columns than lanes, and all take all of them. The four lanes of a quad exchange instead: blocks are transposed there,
// a lane loads four inputs' weights of one output, wQ_0, and wQ_1 … wQ_3 are those of the lanes 1 … 3 xor its own.
//% macro weight_row(texels, broadcast, row)
//%   if broadcast == 4
//%     for q in range(texels)
        let w{{ q }}_0 = load_weights(column{{ q }} + ({{ row }}) * span * 4u);
        let w{{ q }}_1 = quadSwapX(w{{ q }}_0);
        let w{{ q }}_2 = quadSwapY(w{{ q }}_0);
        let w{{ q }}_3 = quadSwapDiagonal(w{{ q }}_0);
//%     endfor
//%   elif broadcast and texels % broadcast == 0
//%     for j in range(texels // broadcast)
        let own{{ j }} = block_weights(column{{ j }} + ({{ row }}) * span);
//%     endfor
//%     for q in range(texels)
//%       set own = "own" ~ (q // broadcast)
//%       set lane = q % broadcast
        let w{{ q }} = Block(
            subgroupBroadcast({{ own }}.x, {{ lane }}u), subgroupBroadcast({{ own }}.y, {{ lane }}u),
            subgroupBroadcast({{ own }}.z, {{ lane }}u), subgroupBroadcast({{ own }}.w, {{ lane }}u));
//%     endfor
//%   elif broadcast
//%     for j in range((texels * 2 + broadcast - 1) // broadcast)
        let half{{ j }} = pair_weights(pair{{ j }} + ({{ row }}) * span * 2u);
//%     endfor
//%     for q in range(texels)
//%       set low = (q * 2) % broadcast
//%       set high = (q * 2 + 1) % broadcast
//%       set a = "half" ~ ((q * 2) // broadcast)
//%       set b = "half" ~ ((q * 2 + 1) // broadcast)
        let w{{ q }} = Block(
            subgroupBroadcast({{ a }}.x, {{ low }}u), subgroupBroadcast({{ a }}.y, {{ low }}u),
            subgroupBroadcast({{ b }}.x, {{ high }}u), subgroupBroadcast({{ b }}.y, {{ high }}u));
//%     endfor
//%   else
//%     for q in range(texels)
        let w{{ q }} = block_weights(column{{ q }} + ({{ row }}) * span);
//%     endfor
//%   endif
//% endmacro

//% macro multiply(pixels, texels, first=0, step=1)
//%   for p in range(pixels)
{{ multiply_pixel(p, texels, "a" ~ (first + p * step), 0) }}
//%   endfor
//% endmacro

//% macro multiply_pixel(p, texels, a, broadcast)
//%   for q in range(texels)
//%     if broadcast == 4
        acc{{ p }}_{{ q }} += vec4<f32>(
            dot({{ a }}, w{{ q }}_0), dot({{ a }}, w{{ q }}_1), dot({{ a }}, w{{ q }}_2), dot({{ a }}, w{{ q }}_3));
//%     else
        acc{{ p }}_{{ q }} = fma(w{{ q }}.x, vec4<f32>({{ a }}.x), acc{{ p }}_{{ q }});
        acc{{ p }}_{{ q }} = fma(w{{ q }}.y, vec4<f32>({{ a }}.y), acc{{ p }}_{{ q }});
        acc{{ p }}_{{ q }} = fma(w{{ q }}.z, vec4<f32>({{ a }}.z), acc{{ p }}_{{ q }});
        acc{{ p }}_{{ q }} = fma(w{{ q }}.w, vec4<f32>({{ a }}.w), acc{{ p }}_{{ q }});
//%     endif
//%   endfor
//% endmacro

// Stores the tile from row `m` of `rows` and column `n` on. Subgroups that share weights have large tiles, whose texels'
// epilogues would be most of the code: theirs are in a loop, which takes one column's sums after another.
//% macro store(pixels, texels, rows, broadcast)
//%   if broadcast > 4
    for (var q = 0u; q < {{ texels }}u; q++) {
        let column = n + q;
//%     for p in range(pixels)
        var v{{ p }} = acc{{ p }}_0;
//%       for q in range(1, texels)
        v{{ p }} = select(v{{ p }}, acc{{ p }}_{{ q }}, q == {{ q }}u);
//%       endfor
        if (m + {{ p }}u < {{ rows }} && column < width) { emit((m + {{ p }}u) * width + column, (m + {{ p }}u) * pitch + offset + column, column, v{{ p }}); }
//%     endfor
    }
//%   else
//%     for p in range(pixels)
//%       for q in range(texels)
    if (m + {{ p }}u < {{ rows }} && n + {{ q }}u < width) { emit((m + {{ p }}u) * width + n{{ q }}, (m + {{ p }}u) * pitch + offset + n{{ q }}, n{{ q }}, acc{{ p }}_{{ q }}); }
//%       endfor
//%     endfor
//%   endif
//% endmacro
